//! Random layers, the same for the same seed.

use super::tar::Tar;

/// A small random number generator (xorshift64*): a failure prints its seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// A layer as honest tools write it: each path once, folders before what is in them, and no marker
/// for what it has itself.
pub fn random_layer(random: &mut Random) -> Vec<u8> {
    let mut tar = Tar::new();
    let mut folders = vec![String::new()];
    let mut used = std::collections::BTreeSet::new();
    let mut files: Vec<String> = Vec::new();
    for _ in 0..random.below(30) {
        let folder = folders[random.below(folders.len())].clone();
        let path =
            format!("{folder}{}", ["a", "b", "c", "d", "ümlaut", "with space"][random.below(6)]);
        if !used.insert(path.clone()) {
            continue;
        }
        let time = format!("{}.{:09}", random.below(2_000_000_000), random.below(1_000_000_000));
        let value: Vec<u8> = (0..1 + random.below(40)).map(|_| random.below(256) as u8).collect();
        let mut records: Vec<(&str, &[u8])> = vec![("mtime", time.as_bytes())];
        if random.below(4) == 0 {
            records.push(("SCHILY.xattr.trusted.random", &value));
        }
        let content: Vec<u8> = (0..random.below(3000)).map(|_| random.below(256) as u8).collect();
        let (mode, uid, gid) =
            (random.below(0o10000) as u32, random.below(100_000), random.below(100_000));
        let entry = |tar: Tar, kind: u8, link: &str, content: &[u8]| {
            tar.pax(&records).entry(kind, path.as_bytes(), link.as_bytes(), content, |header| {
                header.set_mode(mode);
                header.set_uid(uid as u64);
                header.set_gid(gid as u64);
                if kind == b'3' {
                    header.set_device_major(1).unwrap();
                    header.set_device_minor(3).unwrap();
                }
            })
        };
        tar = match random.below(12) {
            0..=3 => {
                folders.push(format!("{path}/"));
                entry(tar, b'5', "", b"")
            }
            4..=6 => {
                files.push(path.clone());
                entry(tar, b'0', "", &content)
            }
            7 => entry(tar, b'2', ["../a", "/b", "nowhere"][mode as usize % 3], b""),
            8 if !files.is_empty() => tar.hard_link(&path, &files[mode as usize % files.len()]),
            9 => entry(tar, [b'3', b'6'][mode as usize % 2], "", b""),
            10 => tar.file(&format!("{folder}.wh.{}", &path[folder.len()..]), b""),
            11 if !folder.is_empty() => {
                used.remove(&path);
                if used.insert(format!("{folder}.wh..wh..opq")) {
                    tar.file(&format!("{folder}.wh..wh..opq"), b"")
                } else {
                    tar
                }
            }
            _ => tar,
        };
    }
    tar.finish()
}
