//! QR codes in a terminal.

use portcullis_mfa::QrSymbol;

/// The code in half blocks: two modules, one above the other, in each character. The light ones are
/// drawn, since most terminals are dark and scanners want dark on light.
pub(super) fn half_blocks(qr: &QrSymbol) -> String {
    let side = qr.side();
    let mut text = String::new();
    for y in (0..side).step_by(2) {
        for x in 0..side {
            text.push(match (qr.is_dark(x, y), qr.is_dark(x, y + 1)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_stands_in_a_quiet_zone_and_shows_its_finder_patterns() {
        let qr = QrSymbol::of("otpauth://totp/phone").unwrap();
        let text = half_blocks(&qr);
        let lines: Vec<&str> = text.lines().collect();
        let side = qr.side();
        assert_eq!(lines.len(), side.div_ceil(2));
        assert!(lines.iter().all(|line| line.chars().count() == side));
        assert_eq!(lines[0], "█".repeat(side));
        assert_eq!(lines[1], "█".repeat(side));
        assert!(lines[2].starts_with("████ ▄▄▄▄▄ "), "{}", lines[2]);
        assert!(lines[2].ends_with(" ▄▄▄▄▄ ████"), "{}", lines[2]);
    }
}
