//! Tables go through text and back; no text makes the reader panic.

use gradus_autograd::{Tensor, set_num_threads};
use gradus_data::read::csv::{Fill, Format, Table};
use proptest::prelude::*;

use super::Folder;

/// Cells that need quotes, marks of missing values, and ordinary ones.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<f64>().prop_map(|x| x.to_string()),
        2 => prop::string::string_regex("[a-c ,;\"\n\r\té.0-9-]{0,6}").unwrap(),
        1 => prop::sample::select(vec!["NA", "NaN", "", "inf", "-1e400"]).prop_map(String::from),
    ]
}

/// Digits with a decimal mark or an exponent, numbers between two numbers, and some other texts.
fn digits() -> impl Strategy<Value = String> {
    let between = |x: f64| {
        let half = f64::midpoint(f64::from(x as f32), f64::from((x as f32).next_up()));
        format!("{half}")
    };
    prop_oneof![
        8 => prop::string::string_regex("[+-]?[0-9]{1,12}\\.[0-9]{0,20}").unwrap(),
        4 => prop::string::string_regex("[+-]?0{0,4}\\.?0{0,9}[0-9]{1,19}").unwrap(),
        2 => (any::<u64>(), 0..30_i32).prop_map(|(x, places)| format!("{:.1$}", x as f64 / 10_f64.powi(places), 20)),
        4 => (-9.0..9.0_f64).prop_map(between),
        4 => any::<f64>().prop_filter("not a number", |x| !x.is_nan()).prop_map(|x| x.to_string()),
        1 => prop::string::string_regex("[+-]?[0-9]{1,3}(\\.[0-9]{1,9})?e-?[0-9]{1,2}").unwrap(),
    ]
}

/// A table of texts and how it is written.
fn tables() -> impl Strategy<Value = (Vec<Vec<String>>, char, bool, bool)> {
    let rows = (1..5_usize, 1..6_usize)
        .prop_flat_map(|(columns, rows)| prop::collection::vec(prop::collection::vec(cell(), columns), rows));
    (rows, prop::sample::select(vec![',', ';', '\t', ' ']), any::<bool>(), any::<bool>())
}

fn text(rows: &[Vec<String>], delimiter: char, crlf: bool) -> Vec<u8> {
    let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter as u8)
        .terminator(terminator)
        // Spaces around a cell would not count.
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(vec![]);
    for row in rows {
        writer.write_record(row).unwrap();
    }
    writer.into_inner().unwrap()
}

proptest! {
    /// As another program writes them.
    #[test]
    fn texts_return((rows, delimiter, crlf, mark) in tables()) {
        let mut text = text(&rows, delimiter, crlf);
        if mark {
            text.splice(..0, "\u{feff}".bytes());
        }
        let table = Format::new().delimiter(delimiter).no_header().from_bytes(text).unwrap();
        prop_assert_eq!(table.len(), rows.len());
        for (column, name) in table.names().iter().enumerate() {
            let want: Vec<_> = rows.iter().map(|row| row[column].clone()).collect();
            prop_assert_eq!(table.texts(name).unwrap(), want);
        }
    }

    /// The nearest number of either type, with either decimal mark, to the last bit.
    #[test]
    fn numbers_return(
        rows in prop::collection::vec(
            (any::<f64>(), -9.0..9.0, any::<f32>()).prop_map(|(a, b, c)| [a, b, f64::from(c)]), 0..6,
        ),
        comma: bool,
    ) {
        prop_assume!(rows.iter().flatten().all(|x| !x.is_nan()));
        let mut text = String::from("a;b;c\n");
        for row in &rows {
            let row = row.map(|x| if x.abs() > 1e9 { format!("{x:e}") } else { format!(" {x}") }).join(";");
            text += &(if comma { row.replace('.', ",") } else { row } + "\n");
        }
        let format = Format::new().delimiter(';').decimal(if comma { ',' } else { '.' });
        let table = format.from_bytes(text).unwrap();
        let numbers = table.numbers::<f64>(["c", "a", "b"]).unwrap();
        let want: Vec<_> = rows.iter().flat_map(|&[a, b, c]| [c, a, b]).collect();
        prop_assert_eq!(numbers.shape(), [rows.len(), 3]);
        prop_assert!(numbers.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits()));
        let rounded = table.numbers::<f32>(["c"]).unwrap();
        prop_assert!(rounded.iter().zip(&rows).all(|(a, row)| a.to_bits() == (row[2] as f32).to_bits()));
    }

    /// Numbers of any length, also near to the middle between two floats, and cells that are no numbers.
    #[test]
    fn digits_are_read_as_the_standard_library_reads_them(
        cells in prop::collection::vec(digits(), 1..200), comma: bool,
    ) {
        let text = cells.iter().fold(String::from("x\n"), |text, cell| text + cell + "\n");
        let format = Format::new().missing(["-"]).decimal(if comma { ',' } else { '.' }).delimiter(';');
        let table = format.from_bytes(if comma { text.replace('.', ",") } else { text }).unwrap();
        let wanted: Option<Vec<f64>> = cells.iter().map(|cell| cell.parse().ok()).collect();
        match (table.numbers::<f64>(["x"]), table.numbers::<f32>(["x"]), wanted) {
            (Ok(double), Ok(single), Some(wanted)) => {
                prop_assert!(double.iter().zip(&wanted).all(|(a, b)| a.to_bits() == b.to_bits()));
                let wanted = cells.iter().map(|cell| cell.parse::<f32>().unwrap());
                prop_assert!(single.iter().zip(wanted).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
            (Err(_), Err(_), None) => {}
            (double, ..) => prop_assert!(false, "{:?}", double.map(|_| ())),
        }
    }

    /// A text without quotes is cut in another way than one that has them somewhere.
    #[test]
    fn quotes_at_the_end_change_nothing_before(text in "([ab1., \té]{0,70}(\n|\r|\r\n)?){0,20}", delimiter in ",|\t| ") {
        let format = Format::new().no_header().delimiter(delimiter.chars().next().unwrap());
        match format.from_bytes(text.clone()) {
            Ok(plain) => {
                let row = vec!["\"\""; plain.names().len()].join(&delimiter);
                let quoted = format.from_bytes(format!("{text}\n{row}")).unwrap();
                prop_assert_eq!(quoted.len(), plain.len() + 1);
                for name in plain.names() {
                    let cells = quoted.texts(name).unwrap();
                    prop_assert_eq!(&cells[..plain.len()], plain.texts(name).unwrap());
                }
            }
            Err(error) => {
                let quoted = format.from_bytes(format!("{text}\n\"\""));
                let has_rows = !error.to_string().contains("is empty");
                prop_assert_eq!(quoted.err().map(|error| error.to_string()), has_rows.then(|| error.to_string()));
            }
        }
    }

    /// The mean and the median of the other values of the column.
    #[test]
    fn missing_values_are_filled(
        values in prop::collection::vec(prop::option::weighted(0.7, -9.0..9.0), 1..12),
    ) {
        let cell = |x: &Option<f64>| x.map_or_else(|| "NA".into(), |x| x.to_string());
        let text = values.iter().fold(String::from("x,i\n"), |text, x| text + &format!("{},1\n", cell(x)));
        let table = Table::from_bytes(text).unwrap();
        let mut known: Vec<f64> = values.iter().copied().flatten().collect();
        let kept = table.drop_missing(["x", "i"]).unwrap();
        prop_assert_eq!(kept.numbers::<f64>(["x"]).unwrap().to_vec(), known.clone());
        known.sort_unstable_by(f64::total_cmp);
        let filled = |fill| table.numbers_filled::<f64>(["i", "x"], fill);
        let want = |fill: f64| values.iter().flat_map(|x| [1.0, x.unwrap_or(fill)]).collect::<Vec<_>>();
        prop_assert_eq!(filled(Fill::Value(7.5)).unwrap().to_vec(), want(7.5));
        prop_assert_eq!(filled(Fill::Nan).unwrap().isnan().count(..).item() as usize, values.len() - known.len());
        if known.is_empty() {
            prop_assert!(filled(Fill::Mean).is_err() && filled(Fill::Median).is_err());
        } else {
            let mean = known.iter().sum::<f64>() / known.len() as f64;
            let wanted = Tensor::from_vec(want(mean), [values.len(), 2]).unwrap();
            prop_assert!(filled(Fill::Mean).unwrap().allclose(&wanted, 1e-12, 1e-12));
            let (low, high) = (known[(known.len() - 1) / 2], known[known.len() / 2]);
            let wanted = Tensor::from_vec(want(f64::midpoint(low, high)), [values.len(), 2]).unwrap();
            prop_assert_eq!(filled(Fill::Median).unwrap(), wanted);
        }
    }

    #[test]
    fn categories_return(names in prop::collection::vec("[a-d]{1,2}|1?[0-9]", 1..12)) {
        let text = names.iter().fold(String::from("c\n"), |text, name| text + name + "\n");
        let table = Table::from_bytes(text).unwrap();
        let (classes, list) = table.categories("c").unwrap();
        prop_assert!(classes.iter().zip(&names).all(|(class, name)| list[class as usize] == *name));
        prop_assert!(list.iter().all(|name| names.contains(name)));
        let number = |name: &String| name.parse::<i64>();
        let is_sorted = if list.iter().all(|name| number(name).is_ok()) {
            list.is_sorted_by_key(|name| number(name).unwrap())
        } else {
            list.is_sorted()
        };
        prop_assert!(is_sorted, "{:?}", list);
        // A category takes the place of missing cells, with its place in the order of all.
        let (filled, with_b) = Table::from_bytes(names.iter().fold(String::from("x,c\n0,\n"), |text, name| text + "0," + name + "\n"))
            .unwrap()
            .categories_filled("c", "b")
            .unwrap();
        prop_assert_eq!(&with_b[filled[[0]] as usize], "b");
        prop_assert!(filled.iter().skip(1).zip(&names).all(|(class, name)| with_b[class as usize] == *name));
        let turned: Vec<_> = list.iter().rev().collect();
        let other = table.categories_in("c", &turned).unwrap();
        prop_assert_eq!(other, (list.len() as i64 - 1) - classes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::string::string_regex("[ab1.,;\"'\n\r\t \u{feff}é-]{0,40}").unwrap().prop_map(String::into_bytes),
        ],
        marks in prop::collection::vec(prop::sample::select(vec![',', ';', '"', '\'', ' ', '\t', '.', 'a']), 3),
        header: bool,
    ) {
        let format = Format::new().delimiter(marks[0]).decimal(marks[1]).quote(marks[2]);
        let format = if header { format } else { format.no_header() };
        if let Ok(table) = format.from_bytes(bytes) {
            for name in table.names() {
                let _ = (table.numbers::<f32>([name]), table.numbers_filled::<f64>([name], Fill::Median));
                let _ = (table.categories(name), table.texts(name), table.labels(name, 3));
                let _ = table.drop_missing([name]).map(|table| table.numbers::<f32>([name]).is_ok());
            }
        }
    }
}

/// Long texts are split and parsed on several threads.
#[test]
fn the_number_of_threads_does_not_matter() {
    let folder = Folder::new();
    let row = |i: usize| format!("{i},{},{}\r\n", 1.0 / i as f64, if i % 7 == 3 { "NA" } else { "0.5" });
    let rows = 1..120_000_usize;
    let good = rows.clone().fold(String::from("i,x,y\n"), |text, i| text + &row(i));
    assert!(good.len() > 3 << 20);
    let path = folder.file("long.csv", &good);
    let quoted = folder.file("quoted.csv", good.replace("0.5", "\"0.5\""));
    let wrong = good.replace("\n110000,", "\nwrong,").replace("\n90000,", "\nbad,");
    let ragged = good.replace("\n110000,", "\n1,1,");
    let other = good.replace("\n60000,", "\n6,").replace("i,x,y\n", "i,x,y,z\n");
    let threads = gradus_autograd::num_threads();
    for number in [1, 2, 5] {
        set_num_threads(number);
        for path in [&path, &quoted] {
            let table = Table::read(path).unwrap();
            let x = table.numbers_filled::<f64>(["i", "x", "y"], Fill::Mean).unwrap();
            assert!(x.slice(1, 0..1).iter().zip(rows.clone()).all(|(x, i)| x == i as f64));
            assert!(x.slice(1, 1..2).iter().zip(rows.clone()).all(|(x, i)| x == 1.0 / i as f64));
            assert!(x.slice(1, 2..).iter().all(|y| y == 0.5));
            let error = table.numbers::<f32>(["x", "y"]).unwrap_err().to_string();
            assert!(error.contains("line 4, column 3 (\"y\"): the value is missing"), "{error}");
        }
        let error = Table::from_bytes(wrong.clone()).unwrap().numbers::<f32>(["x", "i"]).unwrap_err();
        assert_eq!(error.to_string(), "read: line 90001, column 1 (\"i\"): \"bad\" is not a number");
        let error = Table::from_bytes(ragged.clone()).unwrap_err().to_string();
        assert_eq!(error, "read: line 110001: the row has 4 cells, the first row 3");
        let error = Table::from_bytes(other.clone()).unwrap_err().to_string();
        assert_eq!(error, "read: line 2: the row has 3 cells, the first row 4");
    }
    set_num_threads(threads);
}

#[cfg(feature = "gzip")]
#[test]
fn compressed_files_are_recognised() {
    let folder = Folder::new();
    let path = folder.file("table.csv", super::gzip(b"x\n1\n2\n"));
    assert_eq!(Table::read(&path).unwrap().numbers::<f64>(["x"]).unwrap(), Tensor::from([[1.0], [2.0]]));
    let stream = std::fs::File::open(&path).unwrap();
    assert_eq!(Format::new().from_reader(stream).unwrap().len(), 2);
}
