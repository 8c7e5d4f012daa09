//! The page of a run: what is in it, whatever the words, and what is read from it again.

mod browser;
mod pictures;

use gradus_autograd::Tensor;
use gradus_nn::{Summary, SummaryRow};
use gradus_train::metrics::ConfusionMatrix;
use gradus_train::{End, Fit, Log, OperationTime, Report, Run, TrainError};
use proptest::prelude::*;
use roxmltree::{Document, Node, ParsingOptions};

use crate::Folder;
use crate::runs::{ROWS, batches, loss, start};

/// The page as XML.
pub(crate) fn parsed(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error} in\n{page}"))
}

/// The text within an element.
pub(crate) fn text(node: Node) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// The texts of all elements of a name.
pub(crate) fn texts(document: &Document, name: &str) -> Vec<String> {
    document.descendants().filter(|node| node.has_tag_name(name)).map(text).collect()
}

/// The words that a page shows for a text.
fn shown(words: &str) -> String {
    let is_bad = |c: char| (c.is_control() && !"\n\t\r".contains(c)) || "\u{fffe}\u{ffff}".contains(c);
    words.chars().map(|c| if is_bad(c) { '\u{fffd}' } else { c }).collect()
}

/// A report with everything, whose words are all of the user's.
fn full(path: &std::path::Path, word: impl Fn(usize) -> String) -> Report {
    let names: Vec<String> = (10..14).map(&word).collect();
    let report = Report::new(path)
        .title(word(0))
        .setting(word(1), word(2))
        .setting(word(3), 0.1)
        .classes([word(4), word(5)])
        .chart(word(6), [names[0].as_str(), names[1].as_str()]);
    let row = |name, kind| SummaryRow { name, kind, shape: vec![3, 4] };
    report.model(&Summary { rows: vec![row(word(7), "trainable"), row(word(8), "buffer")] });
    let mut matrix = ConfusionMatrix::new(2);
    matrix.update_classes(Tensor::from([0, 1, 1, 1]), Tensor::from([0, 0, 1, 1]));
    report.confusion(&matrix);
    report.operations([OperationTime { name: word(9), calls: 12_345, seconds: 0.25 }]);
    for epoch in 1..=3 {
        report.samples(100);
        let values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0 / epoch as f64)).collect();
        report.row(epoch, &values).unwrap();
    }
    report
}

fn words() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "</script><script>alert(1)</script>",
        "<!-- ",
        "]]>",
        "<img src=x onerror=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "' onmouseover='alert(1)",
        "&amp;&#0;&nope;",
        "\u{0}\u{1b}\u{7f}\u{85}\u{fffe}\u{ffff}\u{2028}",
        "</title></style>{}\\u003c\n\r\t",
    ]);
    prop_oneof![
        any::<String>(),
        hostile.clone().prop_map(String::from),
        (any::<String>(), hostile, any::<String>()).prop_map(|(a, b, c)| format!("{a}{b}{c}"))
    ]
}

proptest! {
    #[test]
    fn hostile_words_are_only_words(words in prop::collection::vec(words(), 14)) {
        let folder = Folder::new("report-hostile");
        let path = folder.file("page.html");
        let report = full(&path, |i| words[i].clone());
        let page = std::fs::read_to_string(&path).unwrap();
        let document = parsed(&page);
        prop_assert_eq!(&texts(&document, "h1")[0], &shown(&words[0]));
        let cells = texts(&document, "th");
        for (place, word) in words.iter().enumerate().take(10).skip(1).filter(|(place, _)| ![2, 6].contains(place)) {
            prop_assert!(cells.contains(&shown(word)), "word {}: {:?} is not in {:?}", place, word, cells);
        }
        prop_assert!(texts(&document, "td").contains(&shown(&words[2])));
        // Nothing of the words became a tag or an attribute.
        let plain_path = folder.file("plain.html");
        let plain = full(&plain_path, |i| format!("w{i} v{i}")).run().to_html();
        let plain = parsed(&plain);
        let tags = |document: &Document| {
            let mut tags: Vec<String> =
                document.descendants().filter(Node::is_element).map(|node| node.tag_name().name().into()).collect();
            tags.sort();
            tags.dedup();
            tags
        };
        prop_assert_eq!(tags(&document), tags(&plain));
        prop_assert_eq!(texts(&document, "script").len(), 1);
        let is_handler = |node: Node| node.attributes().any(|attribute| attribute.name().starts_with("on"));
        prop_assert!(!document.descendants().any(is_handler));
        prop_assert_eq!(Run::read(&path).unwrap(), report.run());
        // Beside another run, too.
        Report::compare(folder.file("both.html"), &words[0], &[report.run(), report.run()]).unwrap();
        parsed(&std::fs::read_to_string(folder.file("both.html")).unwrap());
    }

    #[test]
    fn numbers_are_read_to_the_last_bit(values in prop::collection::vec(any::<f64>(), 1..20)) {
        let folder = Folder::new("report-numbers");
        let report = Report::new(folder.file("page.html"));
        for (epoch, value) in (1..).zip(&values) {
            report.row(epoch, &[("value", *value)]).unwrap();
        }
        let read = Run::read(folder.file("page.html")).unwrap();
        let bits = |run: &Run| -> Vec<u64> {
            let number = |x: f64| if x.is_nan() { f64::NAN } else { x };
            run.curve("value").iter().map(|&(_, x)| number(x).to_bits()).collect()
        };
        prop_assert_eq!(bits(&read), bits(&report.run()));
        parsed(&report.run().to_html());
    }
}

#[test]
fn a_page_has_its_numbers() {
    let folder = Folder::new("report-page");
    let report = full(&folder.file("page.html"), |i| format!("word {i}"));
    let page = report.run().to_html();
    let document = parsed(&page);
    for number in ["12,345", ">250<", "100.0 %", "model: 12 parameters, 12 trainable"] {
        assert!(page.contains(number), "{number}");
    }
    assert!(page.contains("word 4 taken for word 5: 1 of 2 (50.0 %)"));
    assert!(texts(&document, "title").contains(&"epoch 2\nword 10 0.5\nword 11 0.5".to_string()));
    // The chart that was asked for; one for each last word, `12` and `13`; the speed.
    let charts: Vec<String> =
        texts(&document, "h2").into_iter().filter(|title| title.ends_with("by epoch")).collect();
    assert_eq!(charts, ["word 6 by epoch", "12 by epoch", "13 by epoch", "samples a second by epoch"]);
    assert!(!page.contains("http"), "nothing is fetched from elsewhere");
}

#[test]
fn names_share_a_chart_by_their_last_word() {
    let folder = Folder::new("report-names");
    let report = Report::new(folder.file("page.html"));
    report.row(1, &[("loss", 1.0), ("lr", 0.1), ("test loss", 2.0), ("test/accuracy", 0.5)]).unwrap();
    let page = report.run().to_html();
    let document = parsed(&page);
    assert_eq!(texts(&document, "h2"), ["loss by epoch", "lr by epoch", "accuracy by epoch"]);
    assert_eq!(texts(&document, "ul"), ["losstest loss", "lr", "test/accuracy"]);
    assert_eq!(texts(&document, "h1"), ["page"], "the name of the file");
}

#[test]
fn a_fit_writes_the_page() {
    let folder = Folder::new("report-fit");
    let path = folder.file("run.html");
    let (mut model, mut adam, x, y) = start();
    let report = Report::new(&path).setting("rows", ROWS);
    let mut seen = Vec::new();
    let fitted = Fit::new(3)
        .report(&report)
        .validate(|_| {
            seen.push(path.exists());
            let mut matrix = ConfusionMatrix::new(2);
            matrix.update_classes(Tensor::from([1]), Tensor::from([0]));
            report.confusion(&matrix);
            vec![("test", 0.5)]
        })
        .run(&mut model, &mut adam, batches, |model, rows| loss(model, &x, &y, &rows))
        .unwrap();
    assert_eq!(fitted.end, End::Done);
    assert_eq!(seen, [false, true, true], "there is a page after the first epoch");
    let run = Run::read(&path).unwrap();
    assert_eq!(run.curve("loss"), fitted.curve("loss"));
    assert_eq!(run.curve("test"), [(1.0, 0.5), (2.0, 0.5), (3.0, 0.5)]);
    assert_eq!(run.epochs.iter().map(|epoch| epoch.samples).collect::<Vec<_>>(), [ROWS; 3]);
    assert!(run.speed().iter().all(|&(_, speed)| speed > 0.0));
    assert_eq!(run.model[0], ("0.weight".into(), "trainable".into(), vec![8, 3]));
    assert_eq!(run.confusion, [[0, 1], [0, 0]]);
}

#[test]
fn a_run_that_goes_on_keeps_the_earlier_rows() {
    let folder = Folder::new("report-resumed");
    let path = folder.file("run.html");
    let report = Report::new(&path);
    (1..=3).for_each(|epoch| report.row(epoch, &[("loss", epoch as f64)]).unwrap());
    let mut log = Report::new(&path);
    let log: &mut dyn Log = &mut log;
    log.row(3, &[("loss", 30.0)]).unwrap();
    assert_eq!(Run::read(&path).unwrap().curve("loss"), [(1.0, 1.0), (2.0, 2.0), (3.0, 30.0)]);
    // A first row of epoch 1 starts anew.
    Report::new(&path).row(1, &[("loss", 7.0)]).unwrap();
    assert_eq!(Run::read(&path).unwrap().curve("loss"), [(1.0, 7.0)]);
}

#[test]
fn pages_of_others_are_errors() {
    let folder = Folder::new("report-errors");
    let path = folder.file("page.html");
    let message = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let error: TrainError = Run::read(&path).unwrap_err();
        error.to_string().replace(&format!("{path:?}"), "PAGE")
    };
    assert_eq!(message("<html></html>"), "read PAGE: it is not the page of a report");
    let page = |data: &str| format!("<script type=\"application/json\" id=\"gradus-runs\">{data}</script>");
    assert_eq!(message(&page("[{}]")), "read PAGE: it has no data of a report");
    assert_eq!(message(&page("3")), "read PAGE: it has no data of a report");
    assert!(message(&page("[")).starts_with("read PAGE: EOF while parsing"));
    let run = Report::new("x.html").run();
    Report::compare(&path, "both", &[run.clone(), run]).unwrap();
    let both = std::fs::read_to_string(&path).unwrap();
    assert_eq!(message(&both), "read PAGE: it is the page of 2 runs: there must be one");
    let missing = Run::read(folder.file("missing.html")).unwrap_err().to_string();
    assert!(missing.starts_with("read ") && missing.contains("missing.html"), "{missing}");
    let nowhere =
        Report::new(folder.file("no/folder.html")).row(1, &[("loss", 1.0)]).unwrap_err().to_string();
    assert!(nowhere.starts_with("write "), "{nowhere}");
}

#[test]
fn runs_are_compared_side_by_side() {
    let folder = Folder::new("report-compare");
    let run = |title: &str, rate: f64, loss: f64| {
        let report = Report::new(folder.file(title)).title(title).setting("rate", rate).setting("batch", 32);
        (1..=2).for_each(|epoch| {
            report.row(epoch, &[("loss", loss / epoch as f64), ("test loss", loss)]).unwrap();
        });
        report.run()
    };
    let path = folder.file("both.html");
    Report::compare(&path, "Two rates", &[run("slow", 0.1, 1.0), run("fast", 0.3, 0.4)]).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    let document = parsed(&page);
    assert_eq!(texts(&document, "ul"), ["slow: lossfast: lossslow: test lossfast: test loss"]);
    let rows = texts(&document, "tr");
    for row in ["slowfast", "loss0.50.2", "test loss10.4", "rate0.10.3", "batch3232"] {
        assert!(rows.contains(&row.to_string()), "{row} is not in {rows:?}");
    }
    let marked: Vec<String> =
        document.descendants().filter(|node| node.attribute("class") == Some("differs")).map(text).collect();
    assert_eq!(marked, ["rate0.10.3"]);
}

#[test]
fn a_matrix_brings_its_names_and_a_flat_curve_has_an_axis() {
    let folder = Folder::new("report-names");
    let report = Report::new(folder.file("page.html"));
    let mut matrix = ConfusionMatrix::with_names(["cat", "dog"]);
    matrix.update_classes(Tensor::from([0, 1]), Tensor::from([0, 0]));
    report.confusion(&matrix);
    report.row(1, &[("accuracy", 0.0)]).expect("the page can be written");
    report.row(2, &[("accuracy", 0.0)]).expect("the page can be written");
    let page = report.run().to_html();
    assert!(page.contains("cat") && page.contains("dog") && !page.contains("e-308"), "{page}");
}
