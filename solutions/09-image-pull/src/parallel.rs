//! Does the same on many things at once: brings them here, and works on those that are.

use anyhow::{Error, Result};
use std::num::NonZero;
use std::sync::{Mutex, mpsc};
use std::thread;

/// So many layers are fetched at once: more are no faster, and registries mind.
const FETCHERS: usize = 4;

/// Fetches each item and then works on it: while some are worked on, others still come.
///
/// Fetching waits for others, so it has [`FETCHERS`] threads; work has as many as there are
/// processors. Results come in the items' order. The failure that came first is returned, and
/// after it nothing new is begun. No thread is left when this returns.
pub(crate) fn fetch_and_map<'a, T: Sync, U: Send>(
    items: &'a [T],
    fetch: impl Fn(&T) -> Result<()> + Sync,
    work: impl Fn(&T) -> Result<U> + Sync,
) -> Result<Vec<U>> {
    let (to_fetch, failure) = (Mutex::new(items.iter().enumerate()), Mutex::new(None));
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let (sender, receiver) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let fail = |error: Error| {
        failure.lock().expect("no holder panics").get_or_insert(error);
        to_fetch.lock().expect("no holder panics").by_ref().for_each(drop);
    };
    let has_failed = || failure.lock().expect("no holder panics").is_some();
    let fetcher = |sender: mpsc::Sender<(usize, &'a T)>| {
        loop {
            let next = to_fetch.lock().expect("no holder panics").next();
            let Some((number, item)) = next else { break };
            match fetch(item) {
                Ok(()) => drop(sender.send((number, item))),
                Err(error) => fail(error),
            }
        }
    };
    let worker = || {
        loop {
            // The lock is held while waiting: the next worker waits for the lock instead.
            let next = receiver.lock().expect("no holder panics").recv();
            let Ok((number, item)) = next else { break };
            if has_failed() {
                continue;
            }
            match work(item) {
                Ok(result) => done.lock().expect("no holder panics").push((number, result)),
                Err(error) => fail(error),
            }
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let fetchers: Vec<_> = (0..FETCHERS.min(items.len()))
            .map(|_| sender.clone())
            .map(|sender| scope.spawn(move || fetcher(sender)))
            .collect();
        drop(sender); // when the fetchers have dropped theirs, the workers are at their end
        let workers: Vec<_> =
            (0..processors.min(items.len())).map(|_| scope.spawn(worker)).collect();
        // The scope would wait for the work alone; join(3) waits for the threads themselves.
        fetchers.into_iter().chain(workers).for_each(|t| t.join().expect("no worker panics"));
    });
    if let Some(error) = failure.into_inner().expect("no holder panics") {
        return Err(error);
    }
    let mut done = done.into_inner().expect("no holder panics");
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        let fetched = Mutex::new(Vec::new());
        let fetch = |n: &u64| {
            fetched.lock().unwrap().push(*n);
            Ok(())
        };
        let square = |n: &u64| {
            assert!(fetched.lock().unwrap().contains(n), "fetched before it is worked on");
            Ok(n * n)
        };
        let squares = fetch_and_map(&items, fetch, square).unwrap();
        assert_eq!(squares, items.iter().map(|n| n * n).collect::<Vec<_>>());
        assert!(fetch_and_map(&[], |_: &u64| Ok(()), |n| Ok(*n)).unwrap().is_empty());
    }

    #[test]
    fn the_first_failure_is_returned_and_ends_the_work() {
        let items: Vec<u64> = (0..10_000).collect();
        let begun = Mutex::new(0);
        let count = || *begun.lock().unwrap() += 1;
        let fail = |n: &u64| {
            count();
            anyhow::ensure!(*n != 5, "{n}");
            Ok(())
        };
        let result = fetch_and_map(&items, |_| Ok(()), fail);
        assert_eq!(result.unwrap_err().to_string(), "5");
        assert!(*begun.lock().unwrap() < 10_000);
        let result = fetch_and_map(&items, fail, |_| Ok(()));
        assert_eq!(result.unwrap_err().to_string(), "5");
    }
}
