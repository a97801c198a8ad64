//! Does the same on many things at once: brings them here, and works on those that are.

use anyhow::{Error, Result};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::{self, Builder};
use std::time::Duration;

/// So many layers are fetched at once: more are no faster, and registries mind.
const FETCHERS: usize = 4;

/// More layers than this are not unpacked at once, however many processors there are: each has a
/// decoder's memory of its own.
const MOST_WORKERS: usize = 4;

/// Says that one of several has failed, so that the others, which may take long, give up.
#[derive(Debug, Default)]
pub(crate) struct Over(AtomicBool);

/// So often is it looked at in a pause.
const LOOK: Duration = Duration::from_millis(100);

impl Over {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Sleeps so long, or until it is over.
    pub fn pause(&self, mut left: Duration) {
        while !left.is_zero() && !self.is_set() {
            thread::sleep(left.min(LOOK));
            left = left.saturating_sub(LOOK);
        }
    }
}

/// Fetches each item and then works on it: while some are worked on, others still come. What comes
/// out goes to `finish`, on the caller's thread and in the items' order, as early as that allows.
///
/// Fetching waits for others, so it has [`FETCHERS`] threads; work has two for each processor, since
/// it waits for the disk in between, and [`MOST_WORKERS`] at most. Where the machine grants fewer
/// threads there are fewer, and without any the caller's does it all.
///
/// The failure that came first is returned. After it nothing new is begun, and who fetches is told
/// to stop. No thread is left when this returns.
pub(crate) fn fetch_and_map<'a, T: Sync, U: Send>(
    items: &'a [T],
    fetch: impl Fn(&T, &Over) -> Result<()> + Sync,
    work: impl Fn(&T) -> Result<U> + Sync,
    mut finish: impl FnMut(&'a T, U) -> Result<()>,
) -> Result<()> {
    let (to_fetch, failure) = (Mutex::new(items.iter().enumerate()), Mutex::new(None));
    let over = Over::default();
    let (sender, receiver) = mpsc::channel();
    let (done, results) = mpsc::channel();
    let receiver = Mutex::new(receiver);
    let fail = |error: Error| {
        failure.lock().expect("no holder panics").get_or_insert(error);
        over.set(); // after the cause is there: who stops now has an error, too
        to_fetch.lock().expect("no holder panics").by_ref().for_each(drop);
    };
    let fetcher = |sender: mpsc::Sender<(usize, &'a T)>| {
        loop {
            let next = to_fetch.lock().expect("no holder panics").next();
            let Some((number, item)) = next else { break };
            match fetch(item, &over) {
                Ok(()) => drop(sender.send((number, item))),
                Err(error) => fail(error),
            }
        }
    };
    let worker = |done: mpsc::Sender<(usize, U)>| {
        loop {
            // The lock is held while waiting: the next worker waits for the lock instead.
            let next = receiver.lock().expect("no holder panics").recv();
            let Ok((number, item)) = next else { break };
            if over.is_set() {
                continue;
            }
            match work(item) {
                Ok(result) => drop(done.send((number, result))),
                Err(error) => fail(error),
            }
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let workers = (2 * processors).min(MOST_WORKERS).min(items.len());
    thread::scope(|scope| {
        let fetch_all = (0..FETCHERS.min(items.len())).map_while(|_| {
            let sender = sender.clone();
            Builder::new().spawn_scoped(scope, || fetcher(sender)).ok()
        });
        let mut threads: Vec<_> = fetch_all.collect();
        if threads.is_empty() {
            fetcher(sender.clone());
        }
        drop(sender); // when all have dropped theirs, those who listen are at their end
        let fetchers = threads.len();
        threads.extend((0..workers).map_while(|_| {
            let done = done.clone();
            Builder::new().spawn_scoped(scope, || worker(done)).ok()
        }));
        if threads.len() == fetchers {
            worker(done.clone());
        }
        drop(done);
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for (number, result) in results {
            early.insert(number, result);
            while let Some(result) = early.remove(&next).filter(|_| !over.is_set()) {
                finish(&items[next], result).unwrap_or_else(fail);
                next += 1;
            }
        }
        // The scope would wait for the work alone; join(3) waits for the threads themselves.
        threads.into_iter().for_each(|t| t.join().expect("no worker panics"));
    });
    failure.into_inner().expect("no holder panics").map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use std::time::Instant;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        let fetched = Mutex::new(Vec::new());
        let fetch = |n: &u64, _: &Over| {
            fetched.lock().unwrap().push(*n);
            Ok(())
        };
        let square = |n: &u64| {
            assert!(fetched.lock().unwrap().contains(n), "fetched before it is worked on");
            Ok(n * n)
        };
        let mut squares = Vec::new();
        let finish = |n: &u64, square| {
            squares.push((*n, square));
            Ok(())
        };
        fetch_and_map(&items, fetch, square, finish).unwrap();
        assert_eq!(squares, items.iter().map(|n| (*n, n * n)).collect::<Vec<_>>());
        fetch_and_map(&[], |_: &u64, _| Ok(()), |_| Ok(()), |_, ()| bail!("of nothing")).unwrap();
    }

    #[test]
    fn the_first_failure_is_returned_and_ends_the_work() {
        let items: Vec<u64> = (0..10_000).collect();
        let begun = Mutex::new(0);
        let count = || *begun.lock().unwrap() += 1;
        let fail = |n: &u64| {
            count();
            anyhow::ensure!(*n != 5, "{n}");
            if *n > 5 {
                thread::sleep(Duration::from_millis(1)); // nobody does all while one tells of 5
            }
            Ok(())
        };
        let result = fetch_and_map(&items, |_, _| Ok(()), fail, |_, ()| Ok(()));
        assert_eq!(result.unwrap_err().to_string(), "5");
        assert!(*begun.lock().unwrap() < 10_000);
        let result = fetch_and_map(&items, |n, _| fail(n), |_| Ok(()), |_, ()| Ok(()));
        assert_eq!(result.unwrap_err().to_string(), "5");
        let mut finished = Vec::new();
        let result = fetch_and_map(
            &items,
            |_, _| Ok(()),
            |n| Ok(*n),
            |_, n| {
                finished.push(n);
                fail(&n)
            },
        );
        assert_eq!(result.unwrap_err().to_string(), "5");
        assert_eq!(finished, [0, 1, 2, 3, 4, 5]);
    }

    /// What comes last may take long; the first ones need not wait for it.
    #[test]
    fn the_first_are_finished_while_the_last_still_come() {
        let (sender, receiver) = mpsc::channel();
        let (sender, receiver) = (Mutex::new(sender), Mutex::new(receiver));
        let fetch = |n: &u64, _: &Over| {
            if *n == 2 {
                receiver.lock().unwrap().recv()?; // until the others are finished
            }
            Ok(())
        };
        let finish = |n: &u64, ()| {
            if *n == 1 {
                sender.lock().unwrap().send(())?;
            }
            Ok(())
        };
        fetch_and_map(&[0, 1, 2], fetch, |_| Ok(()), finish).unwrap();
    }

    /// Who works knows that who fetches may be in the middle of something long.
    #[test]
    fn what_is_on_its_way_is_told_of_a_failure() {
        let fetch = |n: &u64, over: &Over| {
            if *n == 1 {
                over.pause(Duration::from_secs(600));
                bail!(
                    "the second failure, of {}",
                    if over.is_set() { "the first" } else { "time" }
                );
            }
            Ok(())
        };
        let work = |_: &u64| -> Result<()> { bail!("the first failure") };
        let started = Instant::now();
        let result = fetch_and_map(&[0, 1], fetch, work, |_, ()| Ok(()));
        assert_eq!(result.unwrap_err().to_string(), "the first failure");
        assert!(started.elapsed() < Duration::from_secs(300));
    }
}
