//! Pictures.

use gradus_autograd::Tensor;
use gradus_explain::{Bars, ExplainError, HeatMaps, Panel, Words};
use roxmltree::Document;

fn maps() -> HeatMaps {
    let values = Tensor::from([[1.0, -2.0], [0.0, f64::NAN]]);
    let image = Tensor::from([[[0.0, 1.0], [0.5, 0.25]]; 3]);
    HeatMaps::new("a < b & \"c\"")
        .columns(2)
        .panel(Panel::image("<image>", &image).unwrap().ink())
        .panel(Panel::map("map", &values).unwrap())
        .panel(Panel::map("both", &values).unwrap().over(&image).unwrap())
}

#[test]
fn heat_maps_are_xml_with_an_image_for_each_panel() {
    let svg = maps().to_svg();
    let page = Document::parse(&svg).expect("XML");
    let named = |name: &str| {
        page.descendants().filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name))).count()
    };
    assert_eq!(named("image"), 4, "three panels and the legend");
    let texts: Vec<&str> = page
        .descendants()
        .filter(|node| node.is_text())
        .filter_map(|node| node.text())
        .filter(|text| !text.trim().is_empty())
        .collect();
    assert_eq!(texts[..4], ["a < b & \"c\"", "<image>", "map", "\u{b1} 2.00"]);
}

#[test]
fn png_files_hold_their_pixels() {
    let png = maps().to_png();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR") && png.ends_with(b"IEND\xae\x42\x60\x82"));
    // The chunks are as long as they say, and the data have a row for each line.
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
    let (width, height) = (size(16), size(20));
    let data = &png[41..41 + size(33)];
    let mut rows = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(data), &mut rows).unwrap();
    assert_eq!(rows.len(), height * (1 + 3 * width));
    let pixel = |x: usize, y: usize| &rows[y * (1 + 3 * width) + 1 + 3 * x..][..3];
    // The map is the second panel: 0.5 of the largest is red, -1 of it dark blue, NaN magenta.
    let corner = (20 + 196, 56 + 24);
    assert_eq!(pixel(corner.0 + 2, corner.1 + 2), [244, 165, 130]);
    assert_eq!(pixel(corner.0 + 90, corner.1 + 2), [33, 102, 172]);
    assert_eq!(pixel(corner.0 + 2, corner.1 + 90), [247, 247, 247]);
    assert_eq!(pixel(corner.0 + 90, corner.1 + 90), [255, 0, 255]);
    // The image in ink: 0 is white.
    assert_eq!(pixel(22, corner.1 + 2), [255, 255, 255]);
    assert_eq!(pixel(22 + 88, corner.1 + 2), [0, 0, 0]);
}

#[test]
fn files_by_their_ending() {
    let folder = std::env::temp_dir();
    let path = |end: &str| folder.join(format!("gradus-explain-{}.{end}", std::process::id()));
    for (end, start) in [("png", &b"\x89PNG"[..]), ("svg", b"<svg")] {
        maps().save(path(end)).unwrap();
        assert!(std::fs::read(path(end)).unwrap().starts_with(start));
        std::fs::remove_file(path(end)).unwrap();
    }
    let error = maps().save(folder.join("no such folder/a.png")).unwrap_err();
    assert!(matches!(error, ExplainError::Io { .. }) && error.to_string().starts_with("write "));
}

#[test]
fn shapes_of_pictures() {
    let text = |panel: Result<Panel, ExplainError>| panel.unwrap_err().to_string();
    assert_eq!(
        text(Panel::map("", &Tensor::<f32>::zeros([4]))),
        "a heat map is of shape [4]: it must be [height, width] or [channels, height, width], and not empty"
    );
    assert_eq!(
        text(Panel::image("", &Tensor::<f32>::zeros([2, 3, 3]))),
        "an image is of shape [2, 3, 3]: it must be [height, width], [1, height, width] or [3, height, width]"
    );
    let map = Panel::map("", &Tensor::<f32>::zeros([2, 2])).unwrap();
    assert_eq!(
        text(map.over(&Tensor::<f32>::zeros([3, 2]))),
        "the image under a heat map is of shape [3, 2]: it must be as high and wide as the map (`resize` it)"
    );
}

#[test]
fn bars_are_sorted_and_drawn_on_both_sides() {
    let bars = Bars::new("t", &["small", "<large>", "middle", "nan"], &[0.1, -2.0, 1.0, f64::NAN]);
    let svg = bars.to_svg();
    let page = Document::parse(&svg).expect("XML");
    let rectangles: Vec<(f64, f64)> = page
        .descendants()
        .filter(|node| node.tag_name().name() == "rect" && node.attribute("x").is_some())
        .map(|node| ["x", "width"].map(|name| node.attribute(name).unwrap().parse::<f64>().unwrap()).into())
        .collect();
    // NaN has the largest magnitude, and no length.
    assert_eq!(rectangles[0].1, 0.0);
    let (large, middle) = (rectangles[1], rectangles[2]);
    assert!((large.1 - 2.0 * middle.1).abs() < 0.2 && (large.0 + large.1 - middle.0).abs() < 0.2);
    assert!(svg.contains("&lt;large&gt;"));
    let short = Bars::new("t", &["a", "b", "c"], &[1.0, 0.5, 0.25]).most(1).to_svg();
    assert!(short.contains("2 others") && short.contains("0.750"));
    Document::parse(&Bars::new("nothing", &[] as &[&str], &[]).to_svg()).expect("XML");
}

#[test]
fn words_are_escaped_and_stand_alone() {
    let words = Words::new("<t>").line("it's", &["<script>", "\"b\""], &[-1.0, 0.5]);
    let html = words.to_html();
    let page = Document::parse_with_options(
        &html,
        roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() },
    );
    let page = page.expect("HTML that is XML, too");
    let spans: Vec<_> = page.descendants().filter(|node| node.attribute("class") == Some("w")).collect();
    assert_eq!(spans.iter().filter_map(|span| span.text()).collect::<Vec<_>>(), ["<script>", "\"b\""]);
    assert_eq!(spans[0].attribute("title"), Some("-1.00"));
    assert!(spans[0].attribute("style").unwrap().contains("rgb(33,102,172)"));
    assert!(!html.contains("http") && !html.contains("src="), "nothing is fetched");
    assert!(Words::new("").letters().line("", &["a", "b"], &[0.0, 0.0]).to_html().contains("</span><span"));
}
