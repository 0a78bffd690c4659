//! The last words of a process: what it wrote to standard error, bounded.

use std::collections::VecDeque;

/// Enough for the message of a panic; small enough to give to every process.
const TAIL_BYTES_MAX: usize = 4096;

/// A ring: the newest bytes push the oldest out, and writing never fails.
#[derive(Default)]
pub struct Tail {
    bytes: VecDeque<u8>,
    has_lost: bool,
}

impl Tail {
    pub fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..];
        let surplus = (self.bytes.len() + kept.len()).saturating_sub(TAIL_BYTES_MAX);
        self.has_lost |= surplus > 0 || kept.len() < bytes.len();
        self.bytes.drain(..surplus);
        self.bytes.extend(kept);
    }

    /// The whole lines that are left; the rest of a line that was cut is dropped.
    pub fn text(&mut self) -> String {
        let mut bytes: &[u8] = self.bytes.make_contiguous();
        if self.has_lost {
            let first_line = bytes.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
            if first_line < bytes.len() {
                bytes = &bytes[first_line..];
            }
        }
        String::from_utf8_lossy(bytes).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_everything_that_fits() {
        let mut tail = Tail::default();
        tail.push(b"one\n");
        tail.push(b"two\n");
        assert_eq!(tail.text(), "one\ntwo");
    }

    #[test]
    fn keeps_the_last_whole_lines() {
        let mut tail = Tail::default();
        for n in 0..2000 {
            tail.push(format!("line {n}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= TAIL_BYTES_MAX && text.starts_with("line 1"));
        assert!(text.ends_with("line 1999"));
    }

    #[test]
    fn keeps_the_end_of_one_endless_line() {
        let mut tail = Tail::default();
        tail.push(&vec![b'x'; 3 * TAIL_BYTES_MAX]);
        tail.push("\u{e9}".as_bytes());
        assert!(tail.text().ends_with("x\u{e9}"));
    }
}
