//! Writes tar archives byte by byte: also such as no honest tool would write.

use tar::Header;

/// An archive in the making.
#[derive(Clone, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    pub fn new() -> Tar {
        Tar::default()
    }

    /// Adds an entry; `change` has the last word on its header, before the checksum.
    pub fn entry(
        mut self,
        kind: u8,
        name: &[u8],
        link: &[u8],
        content: &[u8],
        change: impl FnOnce(&mut Header),
    ) -> Tar {
        let mut long = Vec::new();
        for (key, value, room) in [("path", name, 100), ("linkpath", link, 100)] {
            if value.len() > room {
                long.push((key, value));
            }
        }
        if !long.is_empty() {
            self = self.pax(&long);
        }
        let mut header = Header::new_ustar();
        header.set_mode(if kind == b'5' { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_600_000_000);
        header.set_size(content.len() as u64);
        let old = header.as_old_mut();
        old.linkflag = [kind];
        fill(&mut old.name, name);
        fill(&mut old.linkname, link);
        change(&mut header);
        header.set_cksum();
        self.raw(header.as_bytes()).raw(content).pad()
    }

    pub fn file(self, name: &str, content: &[u8]) -> Tar {
        self.entry(b'0', name.as_bytes(), b"", content, |_| {})
    }

    pub fn folder(self, name: &str) -> Tar {
        self.entry(b'5', name.as_bytes(), b"", b"", |_| {})
    }

    pub fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(b'2', name.as_bytes(), target.as_bytes(), b"", |_| {})
    }

    pub fn hard_link(self, name: &str, target: &str) -> Tar {
        self.entry(b'1', name.as_bytes(), target.as_bytes(), b"", |_| {})
    }

    pub fn device(self, kind: u8, name: &str, major: u32, minor: u32) -> Tar {
        self.entry(kind, name.as_bytes(), b"", b"", |header| {
            header.set_device_major(major).unwrap();
            header.set_device_minor(minor).unwrap();
        })
    }

    /// Pax records for the entry that comes next.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        let mut content = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..).find(|n: &usize| (rest + n).to_string().len() == *n).unwrap() + rest;
            content.extend(format!("{length} {key}=").into_bytes());
            content.extend(*value);
            content.push(b'\n');
        }
        self.entry(b'x', b"PaxHeaders/x", b"", &content, |_| {})
    }

    pub fn raw(mut self, bytes: &[u8]) -> Tar {
        self.bytes.extend(bytes);
        self
    }

    fn pad(mut self) -> Tar {
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self
    }

    /// The archive with the two empty blocks at its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend([0; 1024]);
        self.bytes
    }
}

fn fill(field: &mut [u8], value: &[u8]) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
}
