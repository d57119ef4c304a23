//! A bar chart as SVG: groups of bars that are named in a legend, each with its value above it.

use std::fmt::Write as _;

/// Bars side by side under one name.
pub struct Group {
    pub name: String,
    pub bars: Vec<(String, f64)>,
}

pub struct Bars {
    pub title: String,
    pub groups: Vec<Group>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 300.0;
const LEFT: f64 = 20.0;
const COLOURS: [&str; 4] = ["#2f6f4f", "#d08a2e", "#5b6fb0", "#9a9a9a"];

impl Bars {
    pub fn svg(&self) -> String {
        let values = self.groups.iter().flat_map(|group| &group.bars).map(|(_, value)| *value);
        let most = values.fold(1.0, f64::max);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
            self.title
        );
        self.legend(&mut svg);
        let count = f64::from(u32::try_from(self.groups.len().max(1)).unwrap());
        let width = (WIDTH - 2.0 * LEFT) / count;
        let mut left = LEFT;
        for group in &self.groups {
            group.draw(&mut svg, left, width, most);
            left += width;
        }
        let right = WIDTH - LEFT;
        svg += &format!(
            "<line x1=\"{LEFT}\" y1=\"{BOTTOM}\" x2=\"{right}\" y2=\"{BOTTOM}\" stroke=\"#333333\"/>\n</svg>\n"
        );
        svg
    }

    fn legend(&self, svg: &mut String) {
        let names = self.groups.iter().max_by_key(|group| group.bars.len());
        let mut x = LEFT;
        for (nth, (name, _)) in names.into_iter().flat_map(|group| &group.bars).enumerate() {
            let (colour, text) = (COLOURS[nth % COLOURS.len()], x + 16.0);
            let _infallible = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"36\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
                 <text x=\"{text}\" y=\"46\">{name}</text>"
            );
            x += 40.0 + 7.0 * f64::from(u32::try_from(name.len()).unwrap());
        }
    }
}

impl Group {
    fn draw(&self, svg: &mut String, left: f64, width: f64, most: f64) {
        let count = f64::from(u32::try_from(self.bars.len().max(1)).unwrap());
        let bar = 0.8 * width / count;
        let mut x = left + 0.1 * width;
        for (nth, (_, value)) in self.bars.iter().enumerate() {
            let (colour, height) = (COLOURS[nth % COLOURS.len()], (BOTTOM - TOP) * value / most);
            let (y, middle, inner) = (BOTTOM - height, x + bar / 2.0, 0.9 * bar);
            let above = y - 4.0;
            let _infallible = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{inner:.1}\" height=\"{height:.1}\" \
                 fill=\"{colour}\"/><text x=\"{middle:.1}\" y=\"{above:.1}\" \
                 text-anchor=\"middle\">{value:.0}</text>"
            );
            x += bar;
        }
        let (middle, below) = (left + width / 2.0, BOTTOM + 20.0);
        let _infallible = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{below}\" text-anchor=\"middle\">{}</text>",
            self.name
        );
    }
}
