//! Which bytes on their way to a client belong to answers of ours.

/// The end of a message's head (RFC 9112, section 2.1).
const END_OF_HEAD: &[u8; 4] = b"\r\n\r\n";

/// How a head begins that the library sends before an answer (RFC 9110, section 15.2).
const INTERIM: &[u8] = b"HTTP/1.1 100 ";

/// Where the next byte stands among the messages of a connection of HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Behind all answers of ours that have begun.
    #[default]
    Between,
    /// In the head of an answer. `matched` bytes of the head's end have just been written;
    /// `body` bytes follow the head.
    Head { matched: usize, body: u64 },
    /// In the body of an answer, of which these bytes are left.
    Body(u64),
}

impl Place {
    /// These bytes have been written. `next` gives the length of the body of the next answer of ours;
    /// none where none is to come.
    pub fn advance(&mut self, mut bytes: &[u8], mut next: impl FnMut() -> Option<u64>) {
        while !bytes.is_empty() {
            let written = match self {
                Self::Between => {
                    let body = if bytes.starts_with(INTERIM) { Some(0) } else { next() };
                    let Some(body) = body else { return };
                    *self = Self::Head { matched: 0, body };
                    0
                }
                Self::Head { matched, body } => {
                    let ends = |byte: &u8| {
                        let goes_on = *byte == END_OF_HEAD[*matched];
                        *matched = if goes_on { *matched + 1 } else { usize::from(*byte == b'\r') };
                        *matched == END_OF_HEAD.len()
                    };
                    let end = bytes.iter().position(ends);
                    if end.is_some() {
                        *self = if *body == 0 { Self::Between } else { Self::Body(*body) };
                    }
                    end.map_or(bytes.len(), |end| end + 1)
                }
                Self::Body(left) => {
                    let written = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= written as u64;
                    if *left == 0 {
                        *self = Self::Between;
                    }
                    written
                }
            };
            bytes = &bytes[written..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place behind these pieces, where answers with these bodies were to come.
    fn behind(pieces: &[&str], bodies: &[u64]) -> Place {
        let (mut place, mut bodies) = (Place::default(), bodies.iter().copied());
        pieces.iter().for_each(|piece| place.advance(piece.as_bytes(), || bodies.next()));
        place
    }

    #[test]
    fn an_answer_ends_with_its_body_however_it_is_cut() {
        let answer = "HTTP/1.1 200 OK\r\nx: \r\r\n\r\nHTTP/1.1 404";
        for cut in 1..answer.len() {
            let (one, other) = answer.split_at(cut);
            assert_eq!(behind(&[one, other], &[12]), Place::Between, "{cut}");
            assert_ne!(behind(&[one], &[12]), Place::Between, "{cut}");
        }
        assert_eq!(behind(&[answer], &[20]), Place::Body(8));
    }

    #[test]
    fn answers_follow_each_other_and_an_interim_head_is_none() {
        let head = "HTTP/1.1 204 No Content\r\n\r\n";
        let all = format!("HTTP/1.1 100 Continue\r\n\r\n{head}{head}");
        assert_eq!(behind(&[&all], &[0, 0]), Place::Between);
        assert_eq!(behind(&[&all, "HTTP/1.1 200 OK\r\n\r\n1"], &[0, 0, 2]), Place::Body(1));
    }

    #[test]
    fn what_the_library_says_by_itself_is_no_answer() {
        assert_eq!(behind(&["HTTP/1.1 400 Bad Request\r\n"], &[]), Place::Between);
    }
}
