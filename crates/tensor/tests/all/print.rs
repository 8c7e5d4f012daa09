//! The printed form, letter by letter.

use crate::common::*;
use gradus_tensor::{Slice, Tensor};
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[track_caller]
fn prints<T: gradus_tensor::Element>(x: impl Into<Tensor<T>>, expected: &str) {
    let got = x.into().to_string();
    assert!(got == expected, "got\n{got}\ninstead of\n{expected}");
}

#[test]
fn numbers_without_axes() {
    prints(2.0, "2.0");
    prints(-1.5_f32, "-1.5");
    prints(0.123456, "0.1235");
    prints(1e-10, "1e-10");
    prints(-1.25e20, "-1.25e+20");
    prints(NAN, "NaN");
    prints(-INF, "-inf");
    prints(-7, "-7");
    prints(true, "true");
}

#[test]
fn rows() {
    prints([1.0, 2.0, 3.0], "[1. 2. 3.]");
    prints([1.0, -2.0], "[ 1. -2.]");
    prints([-0.0, 0.0], "[-0.  0.]");
    prints([0.5_f32, 10.25, -3.0], "[ 0.5  10.25 -3.  ]");
    prints([0.1_f32, 0.2], "[0.1 0.2]");
    prints([9.99999], "[10.]");
    prints([1, -20, 300], "[  1 -20 300]");
    prints([i64::MIN, 0], "[-9223372036854775808                    0]");
    prints([true, false], "[ true false]");
}

#[test]
fn special_values_align() {
    prints([1.0, NAN, -INF], "[  1.  NaN -inf]");
    prints([1.5, NAN, INF, -100.25], "[   1.5      NaN     inf -100.25]");
    prints([NAN, NAN], "[NaN NaN]");
    prints([INF, -INF], "[ inf -inf]");
    prints([[1.0, NAN], [-10.25, 1000.0]], "[[   1.       NaN]\n [ -10.25 1000.  ]]");
}

#[test]
fn wide_ranges_are_scientific() {
    prints([1e-10, 1.5], "[1.0e-10 1.5e+00]");
    prints([1e10, 1e11], "[1.e+10 1.e+11]");
    prints([1e-300, -1.5, NAN], "[ 1.0e-300 -1.5e+000       NaN]");
    prints([-INF, 1e-9], "[  -inf 1.e-09]");
    prints([0.0, 1e-5], "[0.e+00 1.e-05]");
    prints([4.56789_f32, 1e-10], "[4.5679e+00 1.0000e-10]");
    prints([0.00002, 99999.0], "[2.0000e-05 9.9999e+04]");
    // Up to a factor of a million, and from 0.0001 to below 100 million, the plain form is kept.
    prints([0.0001, 100.0], "[  0.0001 100.    ]");
    prints([0.0001, 101.0], "[1.00e-04 1.01e+02]");
    prints([99999999.0, 1000.5], "[99999999.      1000.5]");
    prints([100000000.0, 1000.5], "[1.0000e+08 1.0005e+03]");
}

#[test]
fn precision() {
    let x = Tensor::from([4.56789, 2.0, -0.5]);
    assert_eq!(format!("{x:.2}"), "[ 4.57  2.   -0.5 ]");
    assert_eq!(format!("{x:.0}"), "[ 5  2 -0]");
    assert_eq!(format!("{x:.6}"), "[ 4.56789  2.      -0.5    ]");
    assert_eq!(format!("{:.2}", Tensor::from([4.56789, 1e-10])), "[4.57e+00 1.00e-10]");
    assert_eq!(format!("{:.0}", Tensor::from([4.56789, 2e-10, NAN])), "[5e+00 2e-10   NaN]");
    assert_eq!(format!("{:.2}", Tensor::from(4.56789)), "4.57");
    assert_eq!(format!("{:.2}", Tensor::from([1, 22])), "[ 1 22]");
}

#[test]
fn more_axes() {
    prints([[1.0, -2.5], [10.25, 0.0]], "[[ 1.   -2.5 ]\n [10.25  0.  ]]");
    prints([[[0, 1], [2, 3]], [[4, 5], [6, 7]]], "[[[0 1]\n  [2 3]]\n\n [[4 5]\n  [6 7]]]");
    prints([[[[1]], [[2]]]], "[[[[1]]\n\n  [[2]]]]");
    prints([[1], [-2]], "[[ 1]\n [-2]]");
    prints(Tensor::from([[1, 2], [3, 4]]).t(), "[[1 3]\n [2 4]]");
}

#[test]
fn nothing() {
    prints(Tensor::<f32>::zeros([0]), "[]");
    prints(Tensor::<f32>::zeros([3, 0]), "[]");
    prints(Tensor::<f32>::zeros([0, 3]), "[]");
    prints(Tensor::<f32>::zeros([1 << 50, 0]), "[]");
    assert_eq!(format!("{:?}", Tensor::<i64>::zeros([2, 0])), "Tensor<i64> [2, 0] []");
}

#[test]
fn debug_shows_type_and_shape() {
    assert_eq!(format!("{:?}", Tensor::from(1.5_f32)), "Tensor<f32> [] 1.5");
    assert_eq!(format!("{:?}", Tensor::from([true])), "Tensor<bool> [1] [true]");
    assert_eq!(format!("{:?}", Tensor::from([[1], [2]])), "Tensor<i64> [2, 1]\n[[1]\n [2]]");
    assert_eq!(format!("{:.1?}", Tensor::from([1.25])), "Tensor<f64> [1] [1.2]");
}

#[test]
fn many_elements_are_shortened() {
    prints(Tensor::arange(0, 1001, 1), "[   0    1    2 ...  998  999 1000]");
    prints(Tensor::arange(0.0, -1001.0, -1.0), "[    0.    -1.    -2. ...  -998.  -999. -1000.]");
    prints(Tensor::arange(0, 1000, 1).slice(0, ..7), "[0 1 2 3 4 5 6]");
    let grid = "\
[[   0    1    2 ...   37   38   39]
 [  40   41   42 ...   77   78   79]
 [  80   81   82 ...  117  118  119]
 ...
 [1080 1081 1082 ... 1117 1118 1119]
 [1120 1121 1122 ... 1157 1158 1159]
 [1160 1161 1162 ... 1197 1198 1199]]";
    prints(Tensor::arange(0, 1200, 1).reshape([30, 40]), grid);
    let narrow = "[[0.5 NaN]\n [0.5 NaN]\n [0.5 NaN]\n ...\n [0.5 NaN]\n [0.5 NaN]\n [0.5 NaN]]";
    prints(Tensor::from([0.5, NAN]).expand([501, 2]), narrow);
    let deep = "\
[[[1 1 1 ... 1 1 1]
  [1 1 1 ... 1 1 1]]

 [[1 1 1 ... 1 1 1]
  [1 1 1 ... 1 1 1]]

 [[1 1 1 ... 1 1 1]
  [1 1 1 ... 1 1 1]]

 ...

 [[1 1 1 ... 1 1 1]
  [1 1 1 ... 1 1 1]]

 [[1 1 1 ... 1 1 1]
  [1 1 1 ... 1 1 1]]

 [[1 1 1 ... 1 1 1]
  [1 1 1 ... 1 1 1]]]";
    prints(Tensor::from(1).expand([9, 2, 60]), deep);
}

#[test]
fn long_rows_are_wrapped() {
    let row = "\
[-50 -49 -48 -47 -46 -45 -44 -43 -42 -41 -40 -39 -38 -37 -36 -35 -34 -33 -32 -31 -30 -29 -28 -27
 -26 -25 -24 -23 -22 -21 -20 -19 -18 -17 -16 -15 -14 -13 -12 -11 -10  -9  -8  -7  -6  -5  -4  -3
  -2  -1   0   1   2   3   4   5   6   7   8   9]";
    prints(Tensor::arange(-50, 10, 1), row);
    let rows = "\
[[ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17. 18. 19. 20. 21. 22. 23.
  24. 25. 26. 27. 28. 29.]
 [30. 31. 32. 33. 34. 35. 36. 37. 38. 39. 40. 41. 42. 43. 44. 45. 46. 47. 48. 49. 50. 51. 52. 53.
  54. 55. 56. 57. 58. 59.]]";
    prints(Tensor::arange(0.0, 60.0, 1.0).reshape([2, 30]), rows);
    // 33 cells of two digits and their gaps fill a line but for its brackets.
    prints(Tensor::from(11).expand([33]), &format!("[{}]", ["11"; 33].join(" ")));
    prints(Tensor::from(11).expand([34]), &format!("[{}\n 11]", ["11"; 33].join(" ")));
    // With one more axis, two brackets close the line: the 49th cell would leave room for one only.
    prints(Tensor::from(7).expand([1, 48]), &format!("[[{}]]", ["7"; 48].join(" ")));
    prints(Tensor::from(7).expand([1, 49]), &format!("[[{}\n  7]]", ["7"; 48].join(" ")));
}

/// The numbers between the brackets of a printed tensor.
fn numbers(text: &str) -> Vec<f64> {
    text.replace(['[', ']'], " ").split_whitespace().map(|number| number.parse().unwrap()).collect()
}

law! {
    /// What is printed are the elements in order, rounded, whatever the layout; columns line up, lines end in time.
    [f32 f64 i64]
    fn printed_numbers_are_the_elements(x in laid::<T>(1..=4)) {
        let text = x.tensor.to_string();
        prop_assert_eq!(&text, &x.naive.tensor().to_string());
        let printed = numbers(&text);
        prop_assert_eq!(printed.len(), x.naive.data.len());
        for (printed, element) in printed.iter().zip(&x.naive.data) {
            let element: f64 = element.to_string().parse().unwrap();
            let error = (printed - element).abs();
            prop_assert!(element.bits() == printed.bits() || error <= 5.1e-5 * element.abs().max(1.0) || element == T::MAX as f64);
        }
        prop_assert!(text.lines().all(|line| line.len() <= 100));
        if x.naive.shape.last().is_some_and(|&size| size < 5) {
            let widths: Vec<usize> = text.lines().filter(|line| !line.is_empty()).map(|line| line.trim_end_matches(']').len()).collect();
            prop_assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{}", text);
        }
    }
}

proptest! {
    /// A shortened axis shows three elements at each end.
    #[test]
    fn shortened_rows_show_their_ends(count in 1001..5000_i64, start in -9..9_i64, step in 1..3_isize) {
        let x = Tensor::arange(start, start + count * step as i64, 1).slice(0, Slice::from(..).step(step));
        let text = x.to_string();
        let (head, tail) = text.split_once(" ... ").unwrap();
        prop_assert_eq!(numbers(head), x.slice(0, ..3).cast::<f64>().to_vec());
        prop_assert_eq!(numbers(tail), x.slice(0, -3..).cast::<f64>().to_vec());
        prop_assert!(!text.contains('\n'));
    }
}
