//! Says what a kernel lacks that can't do what we ask.

use nix::Error;
use std::fmt::{self, Display};

/// What the kernel refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it is about: `a chain nat`, `a rule of meta, lookup, masq`.
    pub of: String,
    /// The kernel's reason.
    pub errno: Error,
}

/// Which module of the kernel makes what: a word of [`Refusal::of`], the module, its option.
const MODULES: [(&str, &str, &str); 7] = [
    ("chain nat", "nft_chain_nat", "NFT_NAT"),
    ("masq", "nft_masq", "NFT_MASQ"),
    ("nat", "nft_nat", "NFT_NAT"),
    ("fib", "nft_fib_inet", "NFT_FIB_INET"),
    ("ct", "nft_ct", "NFT_CT"),
    ("table of", "nf_tables", "NF_TABLES_INET"),
    ("netlink", "nfnetlink", "NETFILTER_NETLINK"),
];

impl Refusal {
    /// The module that seems to be missing, and the option with which a kernel has it.
    fn missing(&self) -> Option<(&'static str, &'static str)> {
        // The kernel's words for "I have nobody who knows about this".
        let is_unknown = matches!(
            self.errno,
            Error::ENOENT | Error::EOPNOTSUPP | Error::EPROTONOSUPPORT | Error::EAFNOSUPPORT
        );
        let words: Vec<&str> = self.of.split([' ', ',']).collect();
        let found = MODULES.iter().find(|(word, ..)| match word.split_once(' ') {
            Some(_) => self.of.contains(word),
            None => words.contains(word),
        });
        found.filter(|_| is_unknown).map(|(_, module, option)| (*module, *option))
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = std::io::Error::from(self.errno);
        write!(f, "the kernel refuses {}: {reason}", self.of)?;
        match (self.missing(), self.errno) {
            (Some((module, option)), _) => write!(
                f,
                "\nhint: it seems to lack {module}: `modprobe {module}`, or a kernel with \
                 CONFIG_{option}; without it there is --network host and --network none"
            ),
            (None, Error::EPERM) => write!(f, "\nhint: only root may: run it again with sudo"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(of: &str, errno: Error) -> String {
        Refusal { of: of.to_owned(), errno }.to_string()
    }

    #[test]
    fn a_kernel_without_nat_is_told_by_name() {
        let said = says("a chain nat", Error::ENOENT);
        assert!(
            said.contains("modprobe nft_chain_nat") && said.contains("CONFIG_NFT_NAT"),
            "{said}"
        );
        assert!(said.contains("--network host and --network none"), "{said}");
        let of = |of| says(of, Error::ENOENT);
        assert!(of("a rule of meta, lookup, meta, lookup, masq").contains("nft_masq"));
        assert!(of("a rule of fib, cmp, immediate").contains("nft_fib_inet"));
        assert!(of("a rule of meta, cmp, lookup, nat").contains("nft_nat"));
        assert!(of("a table of IPv4 and IPv6").contains("CONFIG_NF_TABLES_INET"));
    }

    #[test]
    fn other_reasons_are_not_blamed_on_the_kernel() {
        assert!(!says("a chain nat", Error::ENOMEM).contains("hint"));
        assert!(!says("elements of a set", Error::ENOENT).contains("hint"));
        assert!(says("a table", Error::EPERM).contains("sudo"));
    }
}
