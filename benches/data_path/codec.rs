//! How a client compresses what it has read.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use dynamodb_backup::config::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// `zstd-1`, `gzip-6` or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codec(pub(crate) Option<Compression>);

/// A part closes at this size, as the program's own do.
pub(crate) const PART_BYTES: usize = 8 << 20;

/// Zstandard as a client without our library would use it: one frame to a part.
pub(crate) enum Encoder {
    None(u64),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Codec {
    pub(crate) const NONE: Self = Self(None);
    pub(crate) const ZSTD: Self = Self(Some(Compression::Zstd(1)));
    pub(crate) const GZIP: Self = Self(Some(Compression::Gzip(6)));

    pub(crate) fn encoder(self) -> io::Result<Encoder> {
        Ok(match self.0 {
            None => Encoder::None(0),
            Some(Compression::Zstd(level)) => {
                Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), level)?)
            }
            Some(Compression::Gzip(level)) => {
                Encoder::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::new(level)))
            }
        })
    }

    pub(crate) fn decoder<'a>(self, body: &'a [u8]) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self.0 {
            None => Box::new(body),
            Some(Compression::Zstd(_)) => Box::new(zstd::stream::read::Decoder::with_buffer(body)?),
            Some(Compression::Gzip(_)) => Box::new(MultiGzDecoder::new(body)),
        })
    }
}

impl Encoder {
    /// Compressed bytes so far; without compression nothing is kept, and it is what was written.
    pub(crate) fn written(&self) -> usize {
        match self {
            Self::None(written) => usize::try_from(*written).unwrap_or(usize::MAX),
            Self::Zstd(encoder) => encoder.get_ref().len(),
            Self::Gzip(encoder) => encoder.get_ref().len(),
        }
    }

    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::None(_) => Ok(Vec::new()),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl Write for Encoder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(written) => {
                *written += bytes.len() as u64;
                Ok(bytes.len())
            }
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(Compression::Zstd(level)) => write!(f, "zstd-{level}"),
            Some(Compression::Gzip(level)) => write!(f, "gzip-{level}"),
        }
    }
}

impl FromStr for Codec {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let level = |codec: &str| text.strip_prefix(codec).map(str::parse::<u32>);
        Ok(match (level("zstd-"), level("gzip-")) {
            (Some(level), _) => Self(Some(Compression::Zstd(level?.try_into()?))),
            (_, Some(level)) => Self(Some(Compression::Gzip(level?))),
            _ if text == "none" => Self::NONE,
            _ => anyhow::bail!("{text:?} is not zstd-LEVEL, gzip-LEVEL or none"),
        })
    }
}
