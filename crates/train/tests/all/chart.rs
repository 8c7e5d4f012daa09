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

#[test]
fn the_legend_is_in_the_emptiest_corner_and_a_single_line_has_none() {
    // The first coordinate of the legend of two lines like this one, if there is a legend.
    let place = |y: fn(f64) -> f64, names: &[&'static str]| {
        let points: Vec<(f64, f64)> = (0..9).map(f64::from).map(|x| (x, y(x))).collect();
        let lines: Vec<(&str, Vec<(f64, f64)>)> = names.iter().map(|name| (*name, points.clone())).collect();
        let svg = chart(Scale::Linear, &lines).to_svg().unwrap();
        let text = svg.split("<text ").find(|text| text.contains(">\nfirst\n"))?;
        let x = text.split("x=\"").nth(1)?.split('"').next()?.parse::<f64>();
        Some(x.expect("a coordinate is a number"))
    };
    let both = ["first", "second"];
    assert!(place(|x| -x, &both).expect("two lines have a legend") > 800.0);
    assert!(place(|x| x, &both).expect("two lines have a legend") < 800.0);
    assert_eq!(place(|x| x, &["first"]), None);
}
