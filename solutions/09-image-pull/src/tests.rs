use super::*;
use proptest::prelude::*;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

/// Reads everything through [`Verified`], `step` bytes at a time.
fn verify(bytes: &[u8], digest: &Digest, size: Option<u64>, step: usize) -> io::Result<Vec<u8>> {
    let mut reader = Verified::new(bytes, digest, size);
    let (mut all, mut buffer) = (Vec::new(), vec![0; step]);
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(all),
            count => all.extend(&buffer[..count]),
        }
    }
}

#[test]
fn right_bytes_pass_and_wrong_ones_do_not() {
    let digest = Digest::of(b"the right bytes");
    for step in [1, 4, 100] {
        assert_eq!(
            verify(b"the right bytes", &digest, Some(15), step).unwrap(),
            b"the right bytes"
        );
        assert!(verify(b"the right bytes", &digest, None, step).is_ok());
        assert!(verify(b"the wrong bytes", &digest, Some(15), step).is_err());
        assert!(verify(b"the right", &digest, Some(15), step).is_err());
        assert!(verify(b"", &digest, Some(15), step).is_err());
        // Right bytes, wrong size: whoever wrote the manifest lies about one of them.
        assert!(verify(b"the right bytes", &digest, Some(16), step).is_err());
        assert!(verify(b"the right bytes", &digest, Some(14), step).is_err());
    }
    assert!(verify(b"", &Digest::of(b""), Some(0), 1).is_ok());
}

#[test]
fn a_stream_without_end_is_cut_off_at_its_size() {
    let digest = Digest::of(b"");
    let error = Verified::new(io::repeat(0), &digest, Some(1 << 20)).finish().unwrap_err();
    assert!(error.to_string().contains("goes on after"), "{error}");
}

#[test]
fn who_stops_reading_early_has_to_ask_for_the_rest() {
    let digest = Digest::of(b"something else");
    let mut reader = Verified::new(&b"0123456789"[..], &digest, None);
    reader.read_exact(&mut [0; 10]).unwrap(); // not the end yet: nobody has seen that it is
    assert!(reader.finish().is_err());
}

proptest! {
    /// A platform is taken if and only if one suits, and no other that suits is more specific.
    #[test]
    fn the_best_platform_is_picked(generations in prop::collection::vec(1..6_u32, 1..6), wanted in 1..6_u32) {
        let images: Vec<Descriptor> = generations.iter().map(|generation| {
            serde_json::from_value(serde_json::json!({
                "digest": Digest::of(&generation.to_le_bytes()).to_string(), "size": 1,
                "platform": { "os": "linux", "architecture": "arm", "variant": format!("v{generation}") },
            })).unwrap()
        }).collect();
        let platform = format!("linux/arm/v{wanted}").parse().unwrap();
        let best = generations.iter().filter(|generation| **generation <= wanted).max();
        match pick_platform(&images, &platform) {
            Ok(image) => prop_assert_eq!(&image.digest, &Digest::of(&best.unwrap().to_le_bytes())),
            Err(_) => prop_assert_eq!(best, None),
        }
    }

    /// Whatever an entry is called, its folder is the root or below it, and its own name is one
    /// step: the root is a folder without anything in it, so only names in the root itself are found.
    #[test]
    fn a_safe_path_is_one_step_in_a_folder_inside(name in "[./a]{0,12}") {
        let empty = std::env::temp_dir().join(format!("safe-path-{}", std::process::id()));
        std::fs::create_dir_all(&empty).unwrap();
        let root: OwnedFd = std::fs::File::open(&empty).unwrap().into();
        if let Ok((folder, last)) = safe_path(&root, Path::new(&name)) {
            prop_assert_eq!(rustix::fs::fstat(folder).unwrap().st_ino, rustix::fs::fstat(root).unwrap().st_ino);
            prop_assert!(last == "." || !last.as_bytes().contains(&b'/') && last != ".." && !last.is_empty());
        }
        std::fs::remove_dir(&empty).unwrap();
    }
}
