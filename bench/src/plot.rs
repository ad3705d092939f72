//! Plots as SVG: lines and points over two axes.

use std::fmt::Write;

/// Width and height of the field, and what is kept free around it, in pixels.
const FIELD: (f64, f64) = (720.0, 440.0);
const MARGIN: (f64, f64) = (80.0, 50.0);
/// Marks on each axis, about.
const MARKS: f64 = 6.0;
const COLOURS: [&str; 6] = ["#1b6ca8", "#c8553d", "#588157", "#8e6c8a", "#b58900", "#444444"];

/// Points that belong together, in order.
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// A plot of lines over two axes; a line of one point is a dot. The vertical axis is logarithmic if it is asked for, and nothing below
/// `least` is shown on it then.
pub struct Plot {
    pub title: String,
    pub across: String,
    pub up: String,
    pub logarithmic: Option<f64>,
    pub lines: Vec<Line>,
}

impl Plot {
    /// The text of the file.
    pub fn svg(&self) -> String {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let most = all().map(|point| point.0).fold(1.0, f64::max);
        let (low, high) =
            (self.height(self.logarithmic.unwrap_or(0.0)), all().map(|point| self.height(point.1)).fold(0.0, f64::max));
        let high = if high > low { high } else { low + 1.0 };
        let x = |value: f64| MARGIN.0 + FIELD.0 * value / most;
        let y = |height: f64| MARGIN.1 + FIELD.1 * (1.0 - (height - low) / (high - low));
        let (width, tall) = (FIELD.0 + 2.0 * MARGIN.0, FIELD.1 + 2.0 * MARGIN.1);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {tall}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        let mut text = |x: f64, y: f64, anchor: &str, what: &str| {
            let what = what.replace('&', "&amp;").replace('<', "&lt;");
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{what}</text>");
        };
        text(width / 2.0, 24.0, "middle", &self.title);
        text(width / 2.0, tall - 10.0, "middle", &self.across);
        text(MARGIN.0, MARGIN.1 - 10.0, "middle", &self.up);
        for mark in marks(0.0, most) {
            text(x(mark), tall - MARGIN.1 + 18.0, "middle", &label(mark));
        }
        for mark in marks(low, high) {
            let value = if self.logarithmic.is_some() { 10f64.powf(mark) } else { mark };
            text(MARGIN.0 - 8.0, y(mark) + 4.0, "end", &label(value));
        }
        for (i, line) in self.lines.iter().enumerate() {
            text(width - MARGIN.0 - 6.0, MARGIN.1 + 18.0 + 18.0 * i as f64, "end", &line.name);
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {:.1}v{}h{}\" fill=\"none\" stroke=\"#888\"/>",
            MARGIN.0, MARGIN.1, FIELD.1, FIELD.0
        );
        for (i, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let place = |(across, up): &(f64, f64)| (x(*across), y(self.height(*up)));
            let path: String = line
                .points
                .iter()
                .map(place)
                .enumerate()
                .map(|(i, (x, y))| format!("{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" }))
                .collect();
            let _ = writeln!(svg, "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>");
            for (x, y) in line.points.iter().map(place).filter(|_| line.points.len() == 1) {
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
            }
            let (x, y) = (width - MARGIN.0, MARGIN.1 + 14.0 + 18.0 * i as f64);
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        }
        svg + "</svg>\n"
    }

    fn height(&self, value: f64) -> f64 {
        self.logarithmic.map_or(value, |least| value.max(least).log10())
    }
}

/// Round numbers between two.
fn marks(from: f64, to: f64) -> Vec<f64> {
    let rough = (to - from) / MARKS;
    let power = 10f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough).unwrap_or(rough);
    let first = (from / step).ceil();
    let count = ((to - first * step) / step + 1e-9).floor().max(0.0) as usize;
    (0..=count).map(|i| (first + i as f64) * step).collect()
}

fn label(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 10.0 => format!("{value:.0}"),
        size if size >= 0.1 => format!("{}", (value * 100.0).round() / 100.0),
        _ => format!("{value:.0e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_lie_between() {
        assert_eq!(marks(0.0, 140.0), [0.0, 50.0, 100.0]);
        assert_eq!(marks(0.0, 60.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        assert_eq!(marks(-2.0, 1.5), [-2.0, -1.0, 0.0, 1.0]);
    }

    #[test]
    fn a_plot_has_a_path_for_each_line_and_names_it() {
        let line = |name: &str, points: &[(f64, f64)]| Line { name: name.into(), points: points.into() };
        let plot = Plot {
            title: "a < b".into(),
            across: "moves".into(),
            up: "score".into(),
            logarithmic: Some(0.01),
            lines: vec![line("ours", &[(0.0, 10.0), (5.0, 0.1)]), line("theirs", &[(7.0, 0.001)])],
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b") && svg.contains(">ours<") && svg.contains(">theirs<"));
        // What is below the least is on the axis.
        assert!(svg.contains("M80.0 50.0L594.3 343.3"), "{svg}");
        assert!(svg.contains("<circle cx=\"800.0\" cy=\"490.0\""), "{svg}");
    }
}
