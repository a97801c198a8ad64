//! Closes a line to nf_tables without waiting for what the kernel does then.
//!
//! What was removed from a table may be in the hands of a processor that is just looking at a packet.
//! So the kernel waits until all of them have done something else meanwhile (a grace period: its
//! Documentation/RCU/whatisRCU.rst), some 10 ms, and frees it then. It does so in the background; but
//! whoever closes a netfilter socket before that is over waits with it, and keeps everybody else who
//! changes a table waiting (`nft_rcv_nl_event` in its net/netfilter/nf_tables_api.c). The end of the
//! last process that has the socket open closes it, too.
//!
//! So we leave that to another process, which has nothing else open, sleeps until there is nothing
//! left to wait for, and ends. All that was asked for is done before, and if the process is killed
//! nothing is lost.

use crate::netlink::Netlink;
use nix::fcntl::OFlag;
use nix::sys::prctl::set_name;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{chdir, close as close_one, pipe2, read, setsid};
use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::Duration;
use sys::Fork;

/// Longer than a grace period mostly is. If it is not, that process waits in its end.
const GRACE: Duration = Duration::from_millis(50);

/// To be called when something was removed. When it is back, that process has nothing else of ours
/// open. Who has several threads, of which a clone would copy one alone, waits for the kernel.
pub fn close(netfilter: Netlink) {
    let Ok((end, held)) = pipe2(OFlag::O_CLOEXEC) else { return };
    match sys::clone3(0, None) {
        Ok(Fork::Child) => wait_and_close(&netfilter),
        Ok(Fork::Parent { .. }) => {
            drop(held);
            let _ = read(end, &mut [0]); // until it has closed its copy
        }
        Err(_) => (),
    }
}

fn wait_and_close(netfilter: &Netlink) -> ! {
    let _ = set_name(c"nft-closer"); // for whoever reads `ps`
    let _ = setsid();
    let _ = chdir("/");
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
    // Who reads what our caller prints reads until the last one that could print has gone.
    (0..3).for_each(|stream| close_one(stream).unwrap_or(()));
    let _ = sys::close_all_but(&[netfilter.as_fd()]);
    sleep(GRACE);
    sys::exit_now(0)
}
