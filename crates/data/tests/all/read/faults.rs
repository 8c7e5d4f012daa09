//! Faulty tables: messages name the place and say what would be right.

use gradus_autograd::Tensor;
use gradus_data::read::ReadError;
use gradus_data::read::csv::{Fill, Format, Table};

use super::{Folder, message};

fn table(text: &str) -> Table {
    Table::from_bytes(text).unwrap()
}

fn refused<V>(result: Result<V, ReadError>) -> String {
    result.err().expect("an error is expected").to_string()
}

#[test]
fn rows() {
    let fault = |text: &str| refused(Table::from_bytes(text));
    assert_eq!(fault("a,b\n1,2\n\n1,2,3\n"), "read: line 4: the row has 3 cells, the first row 2");
    assert_eq!(fault("a,b\r\n1\r\n"), "read: line 2: the row has 1 cell, the first row 2");
    assert_eq!(fault("a,b\r1,2\r1,2,\r"), "read: line 3: the row has 3 cells, the first row 2");
    assert_eq!(fault(""), "read: the text is empty; it should have a header");
    assert_eq!(fault("\u{feff}\n \n"), "read: the text is empty; it should have a header");
    assert_eq!(
        refused(Format::new().no_header().from_bytes("")),
        "read: the text is empty; it should have a row"
    );
    assert_eq!(
        refused(Format::new().names(["a"]).from_bytes("1,2\n")),
        "read: there are 2 columns, and 1 names for them"
    );
}

#[test]
fn quotes() {
    let text = "name,x\n\"Ada, \"\"the first\"\"\nprogrammer\" , \"1.5\"\nBob 3\",2\n";
    let people = table(text);
    let names = ["Ada, \"the first\"\nprogrammer", "Bob 3\""];
    assert_eq!(people.texts("name").unwrap(), names);
    assert_eq!(people.numbers::<f64>(["x"]).unwrap(), Tensor::from([[1.5], [2.0]]));
    assert_eq!(
        refused(Table::from_bytes("a,b\n1,\"x\n2,3\n")),
        "read: line 2, column 2: the quote that opens here is never closed"
    );
    assert_eq!(
        refused(Table::from_bytes("a,b\n\"x\ny\"z,3\n")),
        "read: line 2, column 1: \"z\" follows the closing quote; a quote within a cell is written \"\""
    );
    // A line within quotes counts.
    assert_eq!(
        refused(table("a,b\n\"x\ny\",z\n1,2\n").numbers::<f32>(["b"])),
        "read: line 3, column 2 (\"b\"): \"z\" is not a number"
    );
    let single = Format::new().quote('\'').from_bytes("a,b\n'1,5','\"'\n").unwrap();
    assert_eq!(single.texts("a").unwrap(), ["1,5"]);
    assert_eq!(single.texts("b").unwrap(), ["\""]);
}

#[test]
fn encodings() {
    assert_eq!(table("\u{feff}a,b\n1,2\n").names(), ["a", "b"]);
    assert_eq!(
        refused(Table::from_bytes([0xff, 0xfe, b'a', 0])),
        "read: the text is UTF-16; save it as UTF-8"
    );
    assert_eq!(
        refused(Table::from_bytes(*b"a,b\n1,2\n1,caf\xe9\n")),
        "read: line 3: the text is not UTF-8, in which it should be saved"
    );
}

#[test]
fn columns() {
    let penguins = table("species,bill_length_mm,Body Mass\n");
    assert_eq!(
        refused(penguins.numbers::<f32>(["bill_lenght_mm"])),
        "read: there is no column \"bill_lenght_mm\"; did you mean \"bill_length_mm\"? There are \"species\", \
         \"bill_length_mm\", \"Body Mass\""
    );
    assert_eq!(
        refused(penguins.categories("body_mass")),
        "read: there is no column \"body_mass\"; did you mean \"Body Mass\"? There are \"species\", \"bill_length_mm\", \
         \"Body Mass\""
    );
    assert_eq!(
        refused(penguins.texts("year")),
        "read: there is no column \"year\"; there are \"species\", \"bill_length_mm\", \"Body Mass\""
    );
}

#[test]
fn other_delimiters_and_names() {
    assert_eq!(
        refused(table("x;y\n1;2\n").numbers::<f32>(["x"])),
        "read: there is no column \"x\"; there are \"x;y\"; `Format::delimiter(';')` makes more columns of it"
    );
    assert_eq!(
        refused(table("x,y,x\n1,2,3\n").numbers::<f32>(["x"])),
        "read: columns 1 and 3 are both named \"x\"; `Format::names` gives other names"
    );
    let digits = Format::new().no_header().from_bytes("1,2,7\n3,4,8\n").unwrap();
    assert_eq!(digits.numbers::<f64>(&digits.names()[..2]).unwrap(), Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    assert_eq!(
        refused(digits.labels("3", 8)),
        "read: line 2, column 3: \"8\" is not a label; labels are integers from 0 to 7"
    );
    let many = (0..45).map(|i| format!("c{i:02}")).collect::<Vec<_>>().join(",") + "\n";
    assert!(refused(table(&many).texts("other name")).ends_with("\"c38\", \"c39\" and 5 more"));
}

#[test]
fn numbers() {
    let fault = |text: &str| refused(table(text).numbers::<f32>(["b"]));
    assert_eq!(fault("a,b\n1,2\n1,many\n"), "read: line 3, column 2 (\"b\"): \"many\" is not a number");
    assert_eq!(
        fault("a,b\n1,\"2,5\"\n"),
        "read: line 2, column 2 (\"b\"): \"2,5\" is not a number with the decimal mark '.'; `Format::decimal(',')` reads it"
    );
    assert_eq!(
        fault("a,b\n1,NA\n"),
        "read: line 2, column 2 (\"b\"): the value is missing (\"NA\"); `drop_missing` leaves such rows out, \
         `numbers_filled` fills in numbers"
    );
    assert_eq!(fault("a,b\n1,\n1,x\n1,2\n"), "read: line 3, column 2 (\"b\"): \"x\" is not a number");
    for cell in [".", "-", "+", "--1", "1.2.3", "1-", "1234567x", "12345678.1234567x", "12345678x.1", "１"] {
        assert_eq!(
            fault(&format!("a,b\n1,2\n1,{cell}\n")),
            format!("read: line 3, column 2 (\"b\"): {cell:?} is not a number")
        );
    }
    assert_eq!(
        fault("a,b\n1,\n1,Ada\n1,Bob\n"),
        "read: line 3, column 2 (\"b\"): \"Ada\" is not a number; the column has no numbers: `categories` makes classes of texts"
    );
    // Not a number, unless it is a mark.
    let format = Format::new().missing(["-999"]);
    let table = format.from_bytes("a,b\nnan,-999\n1,-999\n").unwrap();
    assert_eq!(
        refused(table.numbers::<f32>(["a"])),
        "read: line 2, column 1 (\"a\"): \"nan\" is not a number"
    );
    assert!(table.numbers_filled::<f32>(["b"], Fill::Nan).unwrap().isnan().all(..).item());
    assert_eq!(
        refused(table.numbers_filled::<f32>(["b"], Fill::Mean)),
        "read: column \"b\" has no value from which missing ones could be filled"
    );
    assert_eq!(
        refused(
            Format::new().delimiter(';').decimal(',').from_bytes("b\n1.5\n").unwrap().numbers::<f32>(["b"])
        ),
        "read: line 2, column 1 (\"b\"): \"1.5\" is not a number with the decimal mark ','; `Format::decimal('.')` reads it"
    );
}

#[test]
fn classes() {
    let test = table("species\nAdelie\nadelie\n");
    assert_eq!(
        refused(test.categories_in("species", &["Adelie", "Gentoo"])),
        "read: line 3, column 1 (\"species\"): \"adelie\" is not one of the categories; did you mean \"Adelie\"? There are \
         \"Adelie\", \"Gentoo\""
    );
    let test = table("species,digit\nNA,10\nAdelie,1.0\n,-1\n");
    assert_eq!(
        refused(test.categories("species")),
        "read: line 2, column 1 (\"species\"): the category is missing; `drop_missing` leaves such rows out, \
         `categories_filled` makes them one more category"
    );
    assert_eq!(test.drop_missing(["species"]).unwrap().texts("digit").unwrap(), ["1.0"]);
    let label = |fault: &str| format!("read: line 2, column 2 (\"digit\"): {fault}");
    assert_eq!(
        refused(test.labels("digit", 10)),
        label("\"10\" is not a label; labels are integers from 0 to 9")
    );
    assert_eq!(refused(test.labels("digit", 0)), label("\"10\" is not a label; there are no classes"));
    assert_eq!(
        refused(test.labels("digit", 11)),
        "read: line 3, column 2 (\"digit\"): \"1.0\" is not a label; labels are integers from 0 to 10"
    );
}

#[test]
fn errors_name_the_file() {
    let folder = Folder::new();
    let path = folder.file("p.csv", "a,b\n1,2\n3,x\n");
    let table = Table::read(&path).unwrap();
    assert_eq!(
        message(table.numbers::<f32>(["a", "b"]), &path),
        "read FILE: line 3, column 2 (\"b\"): \"x\" is not a number"
    );
    assert!(message(table.texts("c"), &path).starts_with("read FILE: there is no column \"c\""));
    let path = folder.file("p.csv", "a,b\n1\n");
    assert_eq!(message(Table::read(&path), &path), "read FILE: line 2: the row has 1 cell, the first row 2");
    let path = path.with_file_name("missing.csv");
    assert!(matches!(Table::read(&path), Err(ReadError::Io { path: other, .. }) if other == path));
}

#[test]
#[should_panic(
    expected = "delimiter: 'é' cannot be it; it must be an ASCII character that does not end a line"
)]
fn delimiters_are_ascii() {
    let _ = Format::new().delimiter('é');
}
