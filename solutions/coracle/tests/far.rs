//! Another machine on a cable, and web servers to be asked.

#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::machine::{folder, success, wait_for};
use std::fs;
use std::net::UdpSocket;
use std::process::{Child, Command};
use std::thread::JoinHandle;

pub const OURS: &str = "198.51.100.2";
pub const THEIRS: &str = "198.51.100.9";

/// Another machine, on a cable, over which this one reaches the rest of the world.
pub struct Far(Child);

impl Far {
    pub fn new() -> Far {
        let far = Command::new("unshare").args(["--net", "sleep", "1000"]).spawn().unwrap();
        let far = Far(far);
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        wait_for("the other machine", || {
            fs::read_link(format!("/proc/{}/ns/net", far.0.id())).is_ok_and(|net| net != own)
        });
        sh(&format!(
            "ip link add up0 type veth peer name eth0 netns {}; ip link set up0 up
             ip address add {OURS}/24 dev up0; ip route add default via {THEIRS}",
            far.0.id()
        ));
        far.sh(&format!(
            "ip link set lo up; ip address add {THEIRS}/24 dev eth0; ip link set eth0 up"
        ));
        far
    }

    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.0.id().to_string(), "sh", "-ec", script]);
        command
    }

    pub fn sh(&self, script: &str) -> String {
        success(harness::run(&mut self.command(script)))
    }

    /// Does something over there, in a thread.
    pub fn serve<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let namespace = fs::File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        std::thread::spawn(move || {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            act()
        })
    }

    /// Starts a server that answers each question with the address 192.0.2.77: RFC 1035.
    pub fn answers_names(&self) {
        let (ready, go) = std::sync::mpsc::channel();
        self.serve(move || {
            let socket = UdpSocket::bind((THEIRS, 53)).unwrap();
            ready.send(()).unwrap();
            answer_names(&socket);
        });
        go.recv().unwrap();
    }
}

/// Answers until the socket is gone.
pub fn answer_names(socket: &UdpSocket) {
    let mut question = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut question) {
        let name_end = question[12..length].iter().position(|byte| *byte == 0).unwrap() + 12;
        let asks_for_ipv4 = question[name_end + 1..name_end + 3] == [0, 1];
        let mut answer = question[..name_end + 5].to_vec();
        let count = u8::from(asks_for_ipv4);
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0]);
        if asks_for_ipv4 {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77]);
        }
        let _ = socket.send_to(&answer, from);
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = Command::new("ip").args(["link", "delete", "up0"]).status();
    }
}

/// What a script says out here; it must succeed.
pub fn sh(script: &str) -> String {
    success(harness::run(Command::new("sh").args(["-ec", script])))
}

/// busybox, by the path at which the sandbox has it.
pub fn box_at() -> String {
    let rootfs = folder("tools");
    if !rootfs.join("bin").exists() {
        harness::busybox_rootfs(&rootfs);
    }
    rootfs.join("bin/busybox").display().to_string()
}

pub const SERVE: &str = "mkdir -p /www; echo hello > /www/index.html
    httpd -p 80 -h /www -vv -f 2> /shared/log &
    until wget -q -O /dev/null http://127.0.0.1/ 2> /dev/null; do sleep 0.05; done";

/// Asks a web server, given as `ADDRESS:PORT`, for its first page.
pub fn get(from: &str) -> String {
    format!("timeout 20 {} wget -q -O - http://{from}/", box_at())
}
