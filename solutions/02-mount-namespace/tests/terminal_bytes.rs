//! `-t`: every byte arrives, in both directions, whoever is slow and whoever has ended.

mod container;
mod window;

use container::{command, rootfs, scratch};
use std::fs;
use std::process::Command;
use window::{Window, line_of};

harness::kernel_tests!(
    large_output_arrives_whole => 120,
    large_input_arrives_whole => 120,
    the_last_words_are_not_lost => 120,
    does_not_need_a_terminal_to_show_its_output,
);

fn large_output_arrives_whole() {
    let script = "stty -opost; yes 0123456789abcde | head -c 10485760";
    let (status, shown) = Window::open(&[], script).end();
    assert_eq!(status, Some(0));
    assert_eq!(shown.len(), 10 << 20);
    assert!(shown.as_bytes().chunks(16).all(|line| line == b"0123456789abcde\n"));
}

/// More than any buffer on the way, to a reader that is slow and answers: neither may wait for the
/// other for ever.
fn large_input_arrives_whole() {
    let script =
        "stty raw -echo; echo ready; sleep 0.3; head -c 300000 | tee /copy | cat; echo over";
    let mut window = Window::open(&[], script);
    window.wait_for("ready");
    let text = "the quick brown fox jumps over the lazy dog. ".repeat(7000);
    let text = &text[..300_000];
    window.press(text);
    window.wait_for("over\n");
    assert_eq!(window.end().0, Some(0));
    let copy = fs::read_to_string(scratch().join("rootfs/copy")).expect("made inside");
    assert!(copy == text, "{} of {} bytes, or others", copy.len(), text.len());
}

fn the_last_words_are_not_lost() {
    rootfs();
    for number in 0..100 {
        let words = format!("last words {number}");
        let (_, shown) = Window::open(&[], &format!("echo -n {words}")).end();
        assert_eq!(shown, words);
    }
}

fn does_not_need_a_terminal_to_show_its_output() {
    rootfs();
    let program = command(&scratch().join("rootfs"), &["-t", "echo", "hello"]);
    let mut piped = Command::new("sh");
    piped.args(["-c", &format!("{} | od -c", line_of(&program))]);
    let (status, shown) = Window::with(&piped).end();
    assert_eq!(status, Some(0));
    assert!(shown.contains(r"h   e   l   l   o  \r  \n"), "{shown}");
}
