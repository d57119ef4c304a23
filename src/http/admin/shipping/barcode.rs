//! Code 128 as SVG: bars of whole modules, with the quiet zone that scanners need.

use std::fmt::Write as _;

use barcoders::sym::code128::Code128;

/// Modules that stay white on both sides. Source: ISO/IEC 15417, ten modules.
const QUIET: usize = 10;
const HEIGHT: usize = 40;

/// The code of a text of visible ASCII; nothing for any other. Digits go in pairs where there is
/// an even number of them: half as wide.
pub fn svg(text: &str) -> String {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return String::new();
    }
    let pairs = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_digit());
    let set = if pairs { 'Ć' } else { 'Ɓ' };
    let Ok(code) = Code128::new(format!("{set}{text}")) else { return String::new() };
    let modules = code.encode();
    let width = modules.len() + 2 * QUIET;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"barcode\" viewBox=\"0 0 {width} \
         {HEIGHT}\" preserveAspectRatio=\"none\" shape-rendering=\"crispEdges\" \
         aria-hidden=\"true\"><rect width=\"{width}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\
         <path fill=\"#000\" d=\""
    );
    let mut at = 0;
    while at < modules.len() {
        let bar = modules[at..].iter().take_while(|module| **module == 1).count();
        if bar > 0 {
            let _always_fits = write!(svg, "M{} 0h{bar}v{HEIGHT}h-{bar}z", at + QUIET);
        }
        at += bar.max(1);
    }
    svg + "\"/></svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts and lengths of the bars, in modules.
    fn bars(svg: &str) -> Vec<(usize, usize)> {
        let path = svg.split(" d=\"").nth(1).unwrap_or_default().split('"').next();
        let bars = path.unwrap_or_default().split('M').skip(1);
        let number = |text: &str| {
            let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().unwrap_or(0)
        };
        bars.map(|bar| (number(bar), number(bar.split('h').nth(1).unwrap_or_default()))).collect()
    }

    #[test]
    fn digits_go_in_pairs_between_quiet_zones() {
        // Start, 12 pairs, check sum: 11 modules each; the stop has 13.
        let svg = svg("202611251234567890123456");
        let width = 11 * 14 + 13 + 2 * QUIET;
        assert!(svg.contains(&format!("viewBox=\"0 0 {width} {HEIGHT}\"")), "{svg}");
        let bars = bars(&svg);
        // START C is 2 bars, 1 space, 1 bar, 2 spaces, 3 bars, 2 spaces.
        assert_eq!(bars[..3], [(QUIET, 2), (QUIET + 3, 1), (QUIET + 6, 3)]);
        // The stop ends with two bars, at the quiet zone.
        assert_eq!(bars.last(), Some(&(width - QUIET - 2, 2)));
    }

    #[test]
    fn what_cannot_be_a_code_is_none() {
        assert!(svg("ORDER-1").contains("<path"));
        assert_eq!(svg("订单"), "");
        assert_eq!(svg(""), "");
    }
}
