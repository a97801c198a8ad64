//! Carries bytes over a connection, there and back: what a link can carry is a command as any other,
//! whose time is compared.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;

/// As much as is written or read by one call.
const BUFFER: usize = 128 * 1024;

/// Sends so many bytes and hears as many.
pub fn send(to: SocketAddr, bytes: u64) -> Result<()> {
    let mut there = TcpStream::connect(to).with_context(|| format!("cannot connect to {to}"))?;
    write(&mut there, bytes).with_context(|| format!("cannot send to {to}"))?;
    there.shutdown(Shutdown::Write).context("cannot end what is sent")?;
    let back = read(&mut there).with_context(|| format!("cannot hear from {to}"))?;
    ensure!(back == bytes, "{bytes} bytes went there and {back} came back");
    Ok(())
}

/// Serves one after the other, until it is killed.
pub fn receive(at: SocketAddr) -> Result<ExitCode> {
    let listener = TcpListener::bind(at).with_context(|| format!("cannot listen at {at}"))?;
    loop {
        let mut from = listener.accept().context("cannot accept")?.0;
        let bytes = read(&mut from).context("cannot hear")?;
        write(&mut from, bytes).context("cannot answer")?;
    }
}

fn write(to: &mut TcpStream, mut bytes: u64) -> std::io::Result<()> {
    let buffer = vec![0x55; BUFFER];
    while bytes > 0 {
        let part = bytes.min(BUFFER as u64);
        to.write_all(&buffer[..part as usize])?;
        bytes -= part;
    }
    Ok(())
}

/// Reads to the end; how many were there?
fn read(from: &mut TcpStream) -> std::io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut sum = 0;
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(sum),
            count => sum += count as u64,
        }
    }
}
