//! Recurrent layers: large batches are cut into bands of rows, which must not be seen.

use crate::common::*;
use gradus_tensor::{Tensor, seeded, set_num_threads};

/// Rows `rows` of a batch along `axis`.
fn part(x: &Tensor<f64>, axis: isize, rows: &std::ops::Range<isize>) -> Tensor<f64> {
    x.slice(axis, rows.clone()).contiguous()
}

fn close(got: &Tensor<f64>, expected: &Tensor<f64>) -> bool {
    got.allclose(expected, 1e-10, 1e-12)
}

#[test]
fn rows_of_a_batch_are_as_if_alone() {
    let _settings = settings();
    let (steps, batch, hidden) = (6, 37, 64);
    let rng = &mut seeded(0);
    let mut random = |shape: &[usize]| Tensor::<f64>::randn(shape, rng) * 0.5;
    let [h0, c0] = [(), ()].map(|()| random(&[batch, hidden]));
    let (lstm_input, lstm_weight) = (random(&[steps, batch, 4 * hidden]), random(&[4 * hidden, hidden]));
    let (gru_input, gru_weight) = (random(&[steps, batch, 3 * hidden]), random(&[3 * hidden, hidden]));
    let (bias, lstm_g) = (random(&[3 * hidden]), random(&[6, steps, batch, hidden]));
    let gru_g = random(&[5, steps, batch, hidden]);

    let lstm = |rows: std::ops::Range<isize>| {
        let [h0, c0] = [&h0, &c0].map(|state| part(state, 0, &rows));
        let y = part(&lstm_input, 1, &rows).lstm(&lstm_weight, &h0, &c0);
        let gradients = y.lstm_gradient(&lstm_weight, &h0, &c0, &part(&lstm_g, 2, &rows));
        (y, gradients)
    };
    let gru = |rows: std::ops::Range<isize>| {
        let h0 = part(&h0, 0, &rows);
        let y = part(&gru_input, 1, &rows).gru(&gru_weight, Some(&bias), &h0);
        let gradients = y.gru_gradient(&gru_weight, &h0, &part(&gru_g, 2, &rows));
        (y, gradients)
    };

    let whole = 0..batch as isize;
    let ((lstm_y, lstm_all), (gru_y, gru_all)) = (lstm(whole.clone()), gru(whole.clone()));
    let [mut lstm_weights, mut gru_weights] =
        [Tensor::zeros(lstm_weight.shape()), Tensor::zeros(gru_weight.shape())];
    // So few rows are not worth to be shared.
    for start in (0..batch as isize).step_by(5) {
        let rows = start..(start + 5).min(batch as isize);
        let (y, [of_input, of_weight, of_h0, of_c0]) = lstm(rows.clone());
        assert!(close(&part(&lstm_y, 2, &rows), &y));
        assert!(close(&part(&lstm_all[0], 1, &rows), &of_input));
        assert!(close(&part(&lstm_all[2], 0, &rows), &of_h0) && close(&part(&lstm_all[3], 0, &rows), &of_c0));
        lstm_weights += of_weight;
        let (y, [of_input, of_weight, _, of_h0]) = gru(rows.clone());
        assert!(close(&part(&gru_y, 2, &rows), &y));
        assert!(close(&part(&gru_all[0], 1, &rows), &of_input));
        assert!(close(&part(&gru_all[3], 0, &rows), &of_h0));
        gru_weights += of_weight;
    }
    assert!(close(&lstm_all[1], &lstm_weights) && close(&gru_all[1], &gru_weights));

    let all = || {
        let ((lstm_y, lstm_all), (gru_y, gru_all)) = (lstm(whole.clone()), gru(whole.clone()));
        [&[lstm_y, gru_y][..], &lstm_all, &gru_all].concat().iter().map(bits).collect::<Vec<_>>()
    };
    set_num_threads(1);
    let expected = all();
    for threads in 2..=3 {
        set_num_threads(threads);
        assert!(all() == expected, "{threads} threads");
    }
}
