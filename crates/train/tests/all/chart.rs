//! Charts, in SVG.

use gradus_train::{Chart, Scale};

fn chart<'a>(scale: Scale, lines: &'a [(&'a str, Vec<(f64, f64)>)]) -> Chart<'a> {
    Chart { title: "Title", subtitle: "Subtitle", x: "epoch", y: "loss", scale, lines }
}

#[test]
fn a_chart_has_a_line_for_each_run_and_its_words() {
    let points: Vec<(f64, f64)> = (1..9).map(|epoch| (f64::from(epoch), 1.0 / f64::from(epoch))).collect();
    let lines = [("training", points.clone()), ("test", points)];
    for scale in [Scale::Linear, Scale::Logarithmic] {
        let svg = chart(scale, &lines).to_svg().unwrap();
        assert!(svg.starts_with("<svg width=\"800\" height=\"460\"") && svg.trim_end().ends_with("</svg>"));
        for word in ["Title", "Subtitle", "epoch", "loss", "training", "test"] {
            assert!(svg.contains(word), "{word}");
        }
        // A line, and its sample in the legend, in each of two colours.
        for colour in ["#0072B2", "#D55E00"] {
            assert_eq!(svg.matches(&format!("stroke=\"{colour}\"")).count(), 2, "{colour}");
        }
    }
}

#[test]
fn points_that_a_scale_does_not_have_are_left_out() {
    let lines = [("x", vec![(1.0, 0.0), (2.0, f64::NAN), (3.0, f64::INFINITY), (4.0, -1.0)])];
    assert!(chart(Scale::Linear, &lines).to_svg().is_ok());
    let error = chart(Scale::Logarithmic, &lines).to_svg().unwrap_err();
    assert_eq!(error.to_string(), "draw a chart: there are no points that its scale has");
    assert!(chart(Scale::Linear, &[("x", vec![(1.0, 5.0)])]).to_svg().is_ok());
}
