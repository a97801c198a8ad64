//! Lets the packets of a network out and in, as far as the machine does not do so yet.

use super::machine::Machine;
use super::record::names;
use super::{FOLDER, Network, Record, TABLE};
use crate::forwarding::{self, Turned};
use crate::neighbours::{self, Place};
use crate::{Bridge, leases, nftables};
use anyhow::Result;
use std::io::{Write, stderr};
use std::path::Path;

impl Network {
    /// Does what is missing; returns what the owner of the machine should see to. What is changed
    /// outside of our own table is written down before, and said.
    pub(super) fn open_doors(&mut self, machine: &Machine) -> Result<Vec<String>> {
        let Bridge { name: link, internal, .. } = self.record.bridge.clone();
        // IPv6 is left as it is: see `links::passes_ipv6_on`.
        let needed = if internal { Vec::new() } else { forwarding::needed()? };
        let way = neighbours::look(TABLE, &link)?;
        let is_new = |place: &&Place| !self.record.places.contains(place);
        let places: Vec<Place> = way.places.iter().filter(is_new).cloned().collect();
        let mut apart = Vec::new();
        if !needed.is_empty() {
            apart = machine.remember(&needed)?;
        }
        if !places.is_empty() {
            self.record.places.extend(places.iter().cloned());
            self.record.write(&self.folder)?;
        }
        let is_empty = nftables::open(TABLE, &link, internal)?;
        if is_empty {
            fill_again()?;
        }
        if is_empty || !needed.is_empty() {
            machine.keep_apart()?;
        }
        machine.name_uplinks()?; // each time: one may have come since
        neighbours::make_way(&way.places, &link)?;
        forwarding::turn(&needed)?;
        needed.iter().for_each(|turned| say(&about_switch(turned, &apart)));
        places.iter().for_each(|place| say(&about_place(place, &link)));
        Ok(if internal { Vec::new() } else { way.remarks }) // they are about the way out
    }
}

/// Brings all networks back into a table that somebody threw away, or that had other rules, with the
/// ports of all containers that live.
fn fill_again() -> Result<()> {
    for name in names() {
        let folder = Path::new(FOLDER).join(&name);
        if let Some(Record { bridge, .. }) = Record::read(&folder)? {
            nftables::open(TABLE, &bridge.name, bridge.internal)?;
            leases::publish_again(&folder)?;
        }
    }
    Ok(())
}

fn about_switch(turned: &Turned, apart: &[String]) -> String {
    let but = match apart {
        [] | [_] => String::new(),
        several => {
            format!("; from one of {} to another nothing passes, as before", several.join(", "))
        }
    };
    format!("{turned}, so that containers can reach others{but} (undone by coracle network prune)")
}

fn about_place(place: &Place, link: &str) -> String {
    format!(
        "{place} has rules for {link} now, so that its containers can reach others (undone by coracle \
         network prune; should a reload of that firewall throw them away: coracle network reload)"
    )
}

/// Tells whoever owns the machine, once: when it is done.
pub(super) fn say(what: &str) {
    let _ = writeln!(stderr(), "coracle: {what}");
}
