//! QR codes of what an authenticator app scans.

use png::{BitDepth, ColorType, Encoder};
use portcullis_base::secret::Secret;
use qrcode::{Color, EcLevel, QrCode};
use thiserror::Error;

/// A QR code with the quiet zone that scanners need.
#[derive(Debug)]
pub struct QrSymbol {
    width: usize,
    dark: Vec<bool>,
}

/// Why there is no QR code.
#[derive(Debug, Error)]
pub enum QrError {
    #[error("the picture cannot be written: {0}")]
    Png(#[from] png::EncodingError),
    #[error("the text does not fit into a QR code")]
    TooLong,
}

/// Modules of light around the code, as ISO 18004 asks for.
const QUIET: usize = 4;
/// Pixels of a module's side in the picture.
const SCALE: usize = 8;

impl QrSymbol {
    /// The code of a text.
    pub fn of(text: &str) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| QrError::TooLong)?;
        let dark = code.to_colors().into_iter().map(|colour| colour == Color::Dark).collect();
        Ok(Self { width: code.width(), dark })
    }

    /// The code as a PNG of one bit per pixel; hidden, since a seed may be in it.
    pub fn png(&self) -> Result<Secret<Vec<u8>>, QrError> {
        let side = self.side() * SCALE;
        let size = u32::try_from(side).map_err(|_| QrError::TooLong)?;
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, size, size);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        let mut writer = encoder.write_header()?;
        let pixels = (0..side).flat_map(|y| (0..side.div_ceil(8)).map(move |byte| self.eight_pixels(byte * 8, y)));
        writer.write_image_data(&pixels.collect::<Vec<u8>>())?;
        writer.finish()?;
        Ok(Secret::new(out))
    }

    fn eight_pixels(&self, x: usize, y: usize) -> u8 {
        let light = |x: usize| u8::from(!self.is_dark(x / SCALE, y / SCALE));
        (0..8).fold(0, |byte, bit| byte << 1 | light(x + bit))
    }

    /// How many modules wide and high it is, the quiet zone included.
    pub fn side(&self) -> usize {
        self.width + 2 * QUIET
    }

    /// Whether the module is dark; all around the code they are light.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|&at| at < self.width);
        match (inside(x), inside(y)) {
            (Some(x), Some(y)) => self.dark.get(y * self.width + x).copied().unwrap_or(false),
            (None, _) | (_, None) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_the_same_modules() {
        let qr = QrSymbol::of("otpauth://totp/phone").unwrap();
        let png = qr.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png.expose())).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(info.width as usize, qr.side() * SCALE);
        for y in 0..qr.side() {
            for x in 0..qr.side() {
                // A module is as wide as a byte, so all its pixels are one byte's bits.
                let byte = pixels[y * SCALE * info.line_size + x];
                assert_eq!(byte, if qr.is_dark(x, y) { 0 } else { 0xff }, "module {x},{y}");
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(matches!(QrSymbol::of(&"x".repeat(5000)), Err(QrError::TooLong)));
    }
}
