//! The page in a browser, where one is installed: `chromium`, `google-chrome` or `GRADUS_BROWSER`; Firefox takes a picture.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{full, texts};
use crate::Folder;

/// The browser, and whether it was asked for by name.
fn browser() -> Option<(PathBuf, bool)> {
    if let Some(browser) = std::env::var_os("GRADUS_BROWSER") {
        return Some((browser.into(), true));
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "firefox"];
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    found.into_iter().find(|path| path.is_file()).map(|path| (path, false))
}

/// Waits for a program, which has a minute.
fn is_done(mut child: Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().expect("its status can be asked for") {
            return status.success();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Says a thing although the test passes, which keeps prints to itself.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "report: {text}");
}

/// A script that sends measures of the page to the frame around it: its width, the columns of its cards, its pictures.
const MEASURE: &str = "<script>
const cards = [...document.querySelectorAll('.card')].map(card => Math.round(card.getBoundingClientRect().left));
parent.postMessage(JSON.stringify({
  width: window.innerWidth, page: document.documentElement.scrollWidth, columns: new Set(cards).size,
  height: Math.round(document.querySelector('.chart').getBoundingClientRect().height),
  tick: Math.round(document.querySelector('.chart text').getBoundingClientRect().height),
  cells: document.querySelectorAll('.matrix td').length,
}), '*')
</script>\n</body>";

/// A frame of this width around the page: a browser may not make its window as narrow as a phone.
fn frame(width: usize) -> String {
    format!(
        "<body><script>onmessage = event => document.body.setAttribute('data-measured', event.data)</script><iframe \
         src=\"page.html\" style=\"border: 0; width: {width}px; height: 900px\"></iframe></body>"
    )
}

/// The frame as the browser has it, with what the page measured at this width; nothing if the browser could not be run.
fn opened(browser: &Path, folder: &Folder, width: usize) -> Option<String> {
    let page = folder.file("frame.html");
    std::fs::write(&page, frame(width)).expect("the folder takes files");
    let out = folder.file("dom.html");
    let profile = folder.file("profile");
    let child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg("--window-size=1400,1000")
        .arg("--virtual-time-budget=3000")
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).expect("the folder takes files"))
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    is_done(child).then(|| std::fs::read_to_string(out).expect("it was written"))
}

/// The number behind a name in what the page has measured.
fn measured(dom: &str, name: &str) -> usize {
    let (_, rest) =
        dom.split_once(&format!("&quot;{name}&quot;:")).unwrap_or_else(|| panic!("no {name} in {dom}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect("a number")
}

#[test]
fn a_browser_shows_the_page() {
    let folder = Folder::new("report-browser");
    let path = folder.file("page.html");
    let page = full(&path, |i| format!("a rather long word, number {i}")).run().to_html();
    assert_eq!(texts(&super::parsed(&page), "svg").len(), 4 + 5, "charts, and samples in their legends");
    let Some((browser, asked_for)) = browser() else {
        return say("no browser is installed, so none opened the page");
    };
    if browser.file_name().is_some_and(|name| name == "firefox") {
        let picture = folder.file("page.png");
        let child = Command::new(&browser)
            .args(["--headless", "--screenshot"])
            .arg(&picture)
            .arg(format!("file://{}", path.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let taken = child.is_ok_and(is_done)
            && std::fs::metadata(&picture).is_ok_and(|picture| picture.len() > 10_000);
        assert!(taken || !asked_for, "the browser took no picture");
        return say(if taken {
            "Firefox took a picture of the page"
        } else {
            "Firefox did not open the page"
        });
    }
    std::fs::write(&path, page.replace("</body>", MEASURE)).unwrap();
    for (width, columns) in [(1280, 2), (390, 1)] {
        let Some(dom) = opened(&browser, &folder, width) else {
            assert!(!asked_for, "the browser did not open the page");
            return say("the browser did not open the page");
        };
        assert_eq!(measured(&dom, "width"), width);
        assert!(measured(&dom, "page") <= width, "the page is no wider than the window");
        assert_eq!(measured(&dom, "columns"), columns, "at {width}");
        assert!((100..500).contains(&measured(&dom, "height")), "the height of a chart at {width}");
        assert!(measured(&dom, "tick") >= 12, "numbers of a chart can be read at {width}");
        assert_eq!(measured(&dom, "cells"), 4);
    }
    say("a browser opened the page at two widths");
}
