//! Tells what is worth another try from what is not, and says what to do about it.
//!
//! A network breaks, a registry restarts, a limit passes: these are tried again, each time after a
//! longer pause. A wrong password does not become right by repetition.

use super::address::Address;
use super::retry_after;
use crate::parallel::Over;
use anyhow::{Error, Result, anyhow};
use std::time::{Duration, SystemTime};

/// So often is something tried, the first time included.
const MOST_TRIES: u32 = 5;

/// The pause after the first try. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A server that wants us to wait longer than this gets no patience: the person decides.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Something that went wrong.
#[derive(Debug)]
pub(crate) struct Failure {
    pub error: Error,
    pub again: Again,
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    Soon,
    /// The server has said when.
    After(Duration),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, again: Again::Never }
    }
}

impl Failure {
    pub fn passing(error: Error) -> Failure {
        Failure { error, again: Again::Soon }
    }
}

/// Does something until it succeeds, fails in a way that will not pass, or it is `over`.
pub(crate) fn patiently<T>(
    over: &Over,
    mut attempt: impl FnMut() -> Result<T, Failure>,
) -> Result<T> {
    let mut tries = 1;
    loop {
        let Failure { error, again } = match attempt() {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        let pause = match again {
            Again::After(pause) if pause <= LONGEST_PAUSE => pause,
            Again::Soon => pause_after(tries),
            Again::Never | Again::After(_) => return Err(error),
        };
        if tries == MOST_TRIES {
            return Err(error.context(format!("tried {tries} times")));
        }
        over.pause(pause);
        if over.is_set() {
            return Err(error);
        }
        tries += 1;
    }
}

/// The pause after so many tries; `None`: there have been enough.
pub(crate) fn pause_before_next(tries: u32) -> Option<Duration> {
    (tries < MOST_TRIES).then(|| pause_after(tries))
}

fn pause_after(tries: u32) -> Duration {
    FIRST_PAUSE * 2_u32.pow(tries - 1)
}

/// Explains why there was no answer at all.
pub(crate) fn explain(error: ureq::Error, address: &Address) -> Failure {
    let is_untrusted = matches!(tls_error(&error), Some(rustls::Error::InvalidCertificate(_)));
    let is_about_tls = is_about_tls(&error);
    let error = Error::msg(error.to_string());
    if is_untrusted {
        return Failure::from(error.context(format!(
            "cannot trust {address}: its certificate is not vouched for by any authority that this machine knows\n\
             hint: put its authority's certificate into /etc/docker/certs.d/{}/ca.crt, or name its file in SSL_CERT_FILE",
            address.authority()
        )));
    }
    if is_about_tls {
        return Failure::from(error.context(format!("cannot agree on TLS with {address}")));
    }
    Failure::passing(error.context(format!(
        "cannot reach {address}\nhint: is its name right, is it running, and is there a way to it from here?"
    )))
}

/// Is it TLS that went wrong, and not the connection below it? Somebody who answers in plain text
/// does not speak TLS at all, which is no mistake in it.
pub(crate) fn is_about_tls(error: &ureq::Error) -> bool {
    tls_error(error).is_some_and(|error| !matches!(error, rustls::Error::InvalidMessage(_)))
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// What an answer that is no success means, and whether it passes.
pub(crate) fn status(status: u16, retry_after: Option<&str>, said: &str, what: &str) -> Failure {
    let pause = retry_after.and_then(|header| retry_after::pause(header, SystemTime::now()));
    let again = match (status, pause) {
        (429 | 503, Some(pause)) => Again::After(pause),
        (408 | 429 | 500.., _) => Again::Soon,
        _ => Again::Never,
    };
    let hint = match (status, again) {
        (429, Again::After(pause)) => {
            format!(
                "\nhint: it asks to wait {} seconds; logging in may help: docker login",
                pause.as_secs()
            )
        }
        (429, _) => "\nhint: too many requests: wait a while, or log in: docker login".to_owned(),
        (500.., _) => "\nhint: that is the registry's trouble: try again later".to_owned(),
        _ => String::new(),
    };
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    Failure { error: anyhow!("{what}: it answers {status}{said}{hint}"), again }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn what_passes_is_tried_again_and_nothing_else() {
        let tries = |again| {
            let mut count = 0;
            let result = patiently(&Over::default(), || -> Result<(), Failure> {
                count += 1;
                if count == 3 { Ok(()) } else { Err(Failure { error: anyhow!("no"), again }) }
            });
            (count, result.is_ok())
        };
        assert_eq!(tries(Again::Soon), (3, true));
        assert_eq!(tries(Again::After(Duration::ZERO)), (3, true));
        assert_eq!(tries(Again::Never), (1, false));
        assert_eq!(tries(Again::After(Duration::from_secs(3600))), (1, false));
    }

    #[test]
    fn patience_ends() {
        let started = Instant::now();
        let result = patiently(&Over::default(), || -> Result<(), Failure> {
            Err(Failure::passing(anyhow!("no")))
        });
        assert!(result.unwrap_err().to_string().contains("tried 5 times"));
        assert!(started.elapsed() < Duration::from_secs(50));
    }

    #[test]
    fn a_status_says_what_to_do() {
        let said = |number, wait: Option<&str>| {
            let failure = status(number, wait, "because", "cannot get x");
            (failure.again, failure.error.to_string())
        };
        assert_eq!(said(429, Some("7")).0, Again::After(Duration::from_secs(7)));
        assert!(said(429, Some("7")).1.contains("wait 7 seconds"));
        assert_eq!(
            said(503, Some("Sun, 06 Nov 1994 08:49:37 GMT")).0,
            Again::After(Duration::ZERO)
        );
        assert_eq!(said(429, Some("tomorrow")).0, Again::Soon);
        assert_eq!((said(500, None).0, said(404, None).0), (Again::Soon, Again::Never));
        assert!(said(403, None).1.contains("403: because"));
    }
}
