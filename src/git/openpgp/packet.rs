//! Packets of OpenPGP, as bytes: <https://www.rfc-editor.org/rfc/rfc9580>.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const BEGIN_KEY: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";

/// Bytes that are taken from the front; none where too few are left.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

/// A packet: what kind it is of, and what it holds.
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// As many bytes as the number before them says.
    pub(super) fn counted(&mut self, count: Option<impl TryInto<usize>>) -> Option<&'a [u8]> {
        self.take(count?.try_into().ok()?)
    }

    /// A number, of which its bits are counted: section 3.2.
    pub(super) fn number(&mut self) -> Option<&'a [u8]> {
        let bits = usize::from(self.u16()?);
        self.take(bits.div_ceil(8))
    }

    /// The next packet: section 4.2. One in parts, as only data comes, is none.
    pub(super) fn packet(&mut self) -> Option<Packet<'a>> {
        let head = self.u8()?;
        let tag = match head {
            0xc0.. => head & 0x3f,
            0x80..0xc0 => (head >> 2) & 0xf,
            ..0x80 => return None,
        };
        let body = match (head >= 0xc0, head & 3) {
            (true, _) => self.counted_anew()?,
            (false, 0) => self.u8().and_then(|count| self.take(count.into()))?,
            (false, 1) => self.u16().and_then(|count| self.take(count.into()))?,
            (false, 2) => self.u32().and_then(|count| self.take(count as usize))?,
            (false, _) => return None,
        };
        Some(Packet { tag, body })
    }

    /// What the length before it counts, in one, two or five bytes: sections 4.2.1 and 5.2.3.7.
    pub(super) fn counted_anew(&mut self) -> Option<&'a [u8]> {
        let first = self.u8()?;
        let count = match first {
            ..192 => usize::from(first),
            192..224 => ((usize::from(first) - 192) << 8) + usize::from(self.u8()?) + 192,
            224..255 => return None,
            255 => self.u32()? as usize,
        };
        self.take(count)
    }
}

/// The bytes of a private key in armor: section 6.2. Its checksum, which says nothing that the packets do not, is passed over.
pub(super) fn key_in_armor(text: &str) -> Option<Vec<u8>> {
    let (_, text) = text.split_once(BEGIN_KEY)?;
    let lines = text.lines().map(str::trim).skip(1);
    let lines = lines.skip_while(|line| !line.is_empty()).skip(1);
    let coded = lines.take_while(|line| !line.starts_with(['=', '-']));
    STANDARD.decode(coded.collect::<String>()).ok()
}

/// A signature in armor, with the checksum that older readers ask for.
pub(super) fn signature_in_armor(bytes: &[u8]) -> String {
    let mut text = "-----BEGIN PGP SIGNATURE-----\n\n".to_owned();
    // 48 bytes make a line of 64 characters.
    for line in bytes.chunks(48) {
        text += &STANDARD.encode(line);
        text.push('\n');
    }
    let [_, checksum @ ..] = checksum(bytes).to_be_bytes();
    text + "=" + &STANDARD.encode(checksum) + "\n-----END PGP SIGNATURE-----\n"
}

/// The checksum of armor, of 24 bits: section 6.1.
fn checksum(bytes: &[u8]) -> u32 {
    let each = bytes.iter().fold(0x00b7_04ce, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 16), |sum, _| match sum << 1 {
            sum if sum & 0x0100_0000 != 0 => sum ^ 0x0186_4cfb,
            sum => sum,
        })
    });
    each & 0x00ff_ffff
}

/// A number with its bits counted, without zeros in front.
pub(super) fn number(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    let bits = bytes
        .first()
        .map_or(0, |first| bytes.len() * 8 - first.leading_zeros() as usize);
    let bits = u16::try_from(bits).expect("no signature has a number of 8 kB");
    [&bits.to_be_bytes(), bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::{Bytes, checksum, number};

    #[test]
    fn lengths_are_read_in_each_form() {
        let packet = |bytes: &[u8]| Bytes(bytes).packet().map(|it| (it.tag, it.body.len()));
        assert_eq!(packet(&[0xc2, 1, 9]), Some((2, 1)));
        assert_eq!(
            packet(&[&[0xc5, 192, 8][..], &[0; 200]].concat()),
            Some((5, 200))
        );
        assert_eq!(packet(&[0xc7, 255, 0, 0, 0, 1, 9]), Some((7, 1)));
        assert_eq!(packet(&[0x88, 1, 9]), Some((2, 1)));
        assert_eq!(packet(&[0x95, 0, 1, 9]), Some((5, 1)));
        assert_eq!(packet(&[0x9e, 0, 0, 0, 1, 9]), Some((7, 1)));
        for none in [
            &[][..],
            &[0x12],
            &[0xc2, 2, 9],
            &[0xc2, 230, 9],
            &[0x8b, 9],
            &[0xc2, 255, 0],
        ] {
            assert_eq!(packet(none), None, "{none:?}");
        }
    }

    #[test]
    fn numbers_and_checksums_are_as_the_standard_has_them() {
        assert_eq!(number(&[0, 1]), [0, 1, 1]);
        assert_eq!(number(&[1, 255]), [0, 9, 1, 255]);
        assert_eq!(number(&[0]), [0, 0]);
        assert_eq!(Bytes(&[0, 9, 1, 255, 7]).number(), Some(&[1, 255][..]));
        assert_eq!(checksum(b"123456789"), 0x0021_cf02);
    }
}
