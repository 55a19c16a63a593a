//! QR codes for a terminal and for a file.

use png::{BitDepth, ColorType, Encoder};
use qrcode::{Color, EcLevel, QrCode};
use thiserror::Error;

/// A QR code with the quiet zone that scanners need.
pub(super) struct QrSymbol {
    width: usize,
    dark: Vec<bool>,
}

/// Why there is no QR code.
#[derive(Debug, Error)]
pub(super) enum QrError {
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
    pub(super) fn of(text: &str) -> Result<Self, QrError> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(|_| QrError::TooLong)?;
        let dark = code.to_colors().into_iter().map(|colour| colour == Color::Dark).collect();
        Ok(Self { width: code.width(), dark })
    }

    /// The code in half blocks: two modules, one above the other, in each character. The light ones are
    /// drawn, since most terminals are dark and scanners want dark on light.
    pub(super) fn half_blocks(&self) -> String {
        let side = self.side();
        let mut text = String::new();
        for y in (0..side).step_by(2) {
            for x in 0..side {
                text.push(match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                    (false, false) => '█',
                    (false, true) => '▀',
                    (true, false) => '▄',
                    (true, true) => ' ',
                });
            }
            text.push('\n');
        }
        text
    }

    /// The code as a PNG of one bit per pixel.
    pub(super) fn png(&self) -> Result<Vec<u8>, QrError> {
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
        Ok(out)
    }

    fn eight_pixels(&self, x: usize, y: usize) -> u8 {
        let light = |x: usize| u8::from(!self.is_dark(x / SCALE, y / SCALE));
        (0..8).fold(0, |byte, bit| byte << 1 | light(x + bit))
    }

    fn side(&self) -> usize {
        self.width + 2 * QUIET
    }

    /// Whether the module is dark; all around the code they are light.
    fn is_dark(&self, x: usize, y: usize) -> bool {
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
    fn the_code_stands_in_a_quiet_zone_and_shows_its_finder_patterns() {
        let qr = QrSymbol::of("otpauth://totp/phone").unwrap();
        let text = qr.half_blocks();
        let lines: Vec<&str> = text.lines().collect();
        let side = qr.side();
        assert_eq!(lines.len(), side.div_ceil(2));
        assert!(lines.iter().all(|line| line.chars().count() == side));
        assert_eq!(lines[0], "█".repeat(side));
        assert_eq!(lines[1], "█".repeat(side));
        assert!(lines[2].starts_with("████ ▄▄▄▄▄ "), "{}", lines[2]);
        assert!(lines[2].ends_with(" ▄▄▄▄▄ ████"), "{}", lines[2]);
    }

    #[test]
    fn the_picture_shows_the_same_modules() {
        let qr = QrSymbol::of("otpauth://totp/phone").unwrap();
        let png = qr.png().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
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
