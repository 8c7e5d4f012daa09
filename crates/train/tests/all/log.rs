//! Logs: what is written reads back, and goes on after a resumption.

use std::fs;
use std::path::PathBuf;

use gradus_train::{CsvLog, JsonlLog, Log};
use proptest::prelude::*;

use crate::Folder;

type Open = fn(PathBuf) -> Box<dyn Log>;
const LOGS: [Open; 2] = [|path| Box::new(CsvLog::new(path)), |path| Box::new(JsonlLog::new(path))];

fn write(log: &mut dyn Log, epochs: std::ops::RangeInclusive<usize>, value: impl Fn(usize) -> f64) {
    for epoch in epochs {
        log.row(epoch, &[("loss", value(epoch)), ("x", epoch as f64)]).unwrap();
    }
}

fn read_csv(text: &str) -> Vec<Vec<f64>> {
    text.lines().skip(1).map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect()
}

fn read_jsonl(text: &str) -> Vec<Vec<f64>> {
    let number = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.parse().unwrap(),
        value => value.as_f64().unwrap(),
    };
    let row = |line| {
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        ["epoch", "loss", "x"].map(|name| number(&object[name])).to_vec()
    };
    text.lines().map(row).collect()
}

proptest! {
    #[test]
    fn numbers_read_back_to_the_same_bits(values in prop::collection::vec(any::<u64>().prop_map(f64::from_bits), 1..9)) {
        let folder = Folder::new("bits");
        for (open, read) in LOGS.into_iter().zip([read_csv, read_jsonl]) {
            let path = folder.file("log");
            write(&mut *open(path.clone()), 1..=values.len(), |epoch| values[epoch - 1]);
            let rows = read(&fs::read_to_string(path).unwrap());
            for (row, &value) in rows.iter().zip(&values) {
                prop_assert!(row[1].to_bits() == value.to_bits() || row[1].is_nan() && value.is_nan(), "{value:?}");
            }
            prop_assert_eq!(rows.len(), values.len());
        }
    }

    /// A run that ended in the middle of a row, and was resumed after an earlier epoch.
    #[test]
    fn a_log_goes_on(written in 1_usize..13, back in 0_usize..13, torn in 0_usize..40) {
        let folder = Folder::new("goes-on");
        for open in LOGS {
            let [path, whole] = ["log", "whole"].map(|name| folder.file(name));
            write(&mut *open(path.clone()), 1..=written, |epoch| 1.0 / epoch as f64);
            let text = fs::read_to_string(&path).unwrap();
            let last = text.lines().last().unwrap().len();
            let torn = torn.min(last);
            fs::write(&path, &text[..text.len() - torn]).unwrap();
            let rows = if torn > 0 { written - 1 } else { written };
            let resumed = rows.saturating_sub(back) + 1;
            write(&mut *open(path.clone()), resumed..=14, |epoch| 1.0 / epoch as f64);
            write(&mut *open(whole.clone()), 1..=14, |epoch| 1.0 / epoch as f64);
            prop_assert_eq!(fs::read_to_string(path).unwrap(), fs::read_to_string(whole).unwrap());
        }
    }
}

#[test]
fn special_numbers_have_names() {
    let folder = Folder::new("special");
    let row = [("a", f64::NAN), ("b", f64::NEG_INFINITY), ("c", -0.0), ("d", f64::INFINITY)];
    for (open, expected) in LOGS.into_iter().zip([
        "epoch,a,b,c,d\n1,NaN,-inf,-0.0,inf\n",
        "{\"epoch\":1,\"a\":\"NaN\",\"b\":\"-inf\",\"c\":-0.0,\"d\":\"inf\"}\n",
    ]) {
        let path = folder.file("log");
        open(path.clone()).row(1, &row).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), expected);
    }
}

#[test]
fn a_file_of_something_else_is_an_error_and_stays() {
    let folder = Folder::new("other");
    let path = folder.file("log");
    for (log, text, fault) in [
        (0, "epoch,x\n1,2\n", "line 1: the columns are \"epoch,x\", and a row has \"epoch,loss\""),
        (0, "epoch,loss\none,2\n", "line 2: \"one,2\" is not a row of such a log"),
        (1, "{\"loss\":1}\n", "line 1: \"{\\\"loss\\\":1}\" is not a row of such a log"),
    ] {
        fs::write(&path, text).unwrap();
        let error = LOGS[log](path.clone()).row(2, &[("loss", 0.5)]).unwrap_err();
        assert_eq!(error.to_string(), format!("read {path:?}, {fault}"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    let error = LOGS[0](folder.file("none/log")).row(1, &[("loss", 0.5)]).unwrap_err().to_string();
    assert!(error.starts_with("write \""), "{error}");
}

#[test]
fn rows_are_in_the_file_at_once() {
    let folder = Folder::new("at-once");
    let mut log = CsvLog::new(folder.file("log.csv"));
    for epoch in 1..4 {
        log.row(epoch, &[("loss", 0.0)]).unwrap();
        assert_eq!(fs::read_to_string(folder.file("log.csv")).unwrap().lines().count(), epoch + 1);
    }
}
