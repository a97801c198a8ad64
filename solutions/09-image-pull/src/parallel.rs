//! Does the same work on many things at once, on as many threads as there are processors.

use anyhow::Result;
use std::num::NonZero;
use std::sync::Mutex;
use std::thread;

/// Calls `work` on each item and returns the results in the items' order.
///
/// After a failure nothing new is begun; of several, the earliest item's is returned. No thread
/// is left when this returns, so the caller may clone a process afterwards.
pub(crate) fn map<T: Sync, U: Send>(
    items: &[T],
    work: impl Fn(&T) -> Result<U> + Sync,
) -> Result<Vec<U>> {
    let queue = Mutex::new(items.iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        loop {
            let next = queue.lock().expect("no holder panics").next();
            let Some((number, item)) = next else { break };
            let result = work(item);
            if result.is_err() {
                queue.lock().expect("no holder panics").by_ref().for_each(drop);
            }
            done.lock().expect("no holder panics").push((number, result));
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let others = (1..processors.min(items.len())).map(|_| scope.spawn(worker));
        let others: Vec<_> = others.collect();
        worker();
        // The scope would wait for the work alone; join(3) waits for the threads themselves.
        others.into_iter().for_each(|other| other.join().expect("no worker panics"));
    });
    let mut done = done.into_inner().expect("no holder panics");
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_items() {
        let items: Vec<u64> = (0..100).collect();
        let squares = map(&items, |n| Ok(n * n)).unwrap();
        assert_eq!(squares, items.iter().map(|n| n * n).collect::<Vec<_>>());
        assert!(map(&[], |n: &u64| Ok(*n)).unwrap().is_empty());
    }

    #[test]
    fn the_first_failure_is_returned_and_ends_the_work() {
        let items: Vec<u64> = (0..10_000).collect();
        let begun = Mutex::new(0);
        let result = map(&items, |n| {
            *begun.lock().unwrap() += 1;
            anyhow::ensure!(*n < 5, "{n}");
            Ok(())
        });
        assert_eq!(result.unwrap_err().to_string(), "5");
        assert!(*begun.lock().unwrap() < 1000);
    }
}
