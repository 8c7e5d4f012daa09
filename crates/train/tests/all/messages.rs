//! The exact words of every panic, and that each names the line of the caller.

use gradus_autograd::{Tensor, Var, seeded};
use gradus_nn::{Linear, Losses, Sgd};
use gradus_train::metrics::{
    Accuracy, AveragePrecision, Averaging, ConfusionMatrix, MacroRocAuc, Mae, Mean, Metric, Mse, Perplexity,
    R2, Rmse, RocAuc, TopK,
};
use gradus_train::{CsvLog, EarlyStopping, Fit, JsonlLog, Log, MeanGradients, predict};

use crate::{Folder, panics};

#[test]
fn empty_metrics() {
    panics(|| Mean::new().value(), "Mean: there is no value before the first update");
    panics(|| Perplexity::new().value(), "Perplexity: there is no value before the first update");
    panics(|| Accuracy::new().value(), "Accuracy: there is no value before the first update");
    panics(|| TopK::new(1).value(), "TopK: there is no value before the first update");
    let matrix = ConfusionMatrix::new(2);
    panics(|| matrix.value(), "ConfusionMatrix: there is no value before the first update");
    let f1 = ConfusionMatrix::f1;
    panics(|| Averaging::Macro.of(&matrix, f1), "Averaging: there is no value before the first update");
    panics(|| RocAuc::new().value(), "RocAuc: there is no value before the first update");
    panics(|| MacroRocAuc::new(2).value(), "MacroRocAuc: there is no value before the first update");
    let precision = AveragePrecision::new();
    panics(|| precision.value(), "AveragePrecision: there is no value before the first update");
    panics(|| Mae::new().value(), "Mae: there is no value before the first update");
    panics(|| Mse::new().value(), "Mse: there is no value before the first update");
    panics(|| Rmse::new().value(), "Rmse: there is no value before the first update");
    panics(|| R2::new().value(), "R2: there is no value before the first update");
}

#[test]
fn classes_and_shapes() {
    let (scores, targets) = (Tensor::<f64>::ones([2, 3]), Tensor::from([0, 3]));
    let message = |metric| {
        format!("{metric}: a target is 3: with 3 classes it must be from 0 to 2, or -100 to be ignored")
    };
    panics(|| Accuracy::new().update(&scores, &targets), &message("Accuracy"));
    panics(|| TopK::new(1).update(&scores, &targets), &message("TopK"));
    panics(|| ConfusionMatrix::new(3).update(&scores, &targets), &message("ConfusionMatrix"));
    panics(|| MacroRocAuc::new(3).update(&scores, &targets), &message("MacroRocAuc"));

    let targets = Tensor::from([0, 1, 2]);
    let message = |metric| format!("{metric}: scores of shape [2, 3] need targets of shape [2], not [3]");
    panics(|| Accuracy::new().update(&scores, &targets), &message("Accuracy"));
    panics(|| TopK::new(1).update(&scores, &targets), &message("TopK"));
    panics(
        || Accuracy::new().update(1.0, Tensor::from(0)),
        "Accuracy: the scores have shape []: they must be [classes] or [rows, classes, ...]",
    );

    let pair = Tensor::from([0, 1]);
    panics(
        || Accuracy::new().update_classes(&targets, &pair),
        "Accuracy: predictions of shape [3] and targets of shape [2]: the shapes must be equal",
    );
    panics(
        || ConfusionMatrix::new(3).update_classes(&targets, &pair),
        "ConfusionMatrix: predictions of shape [3] and targets of shape [2]: the shapes must be equal",
    );
    panics(
        || ConfusionMatrix::new(2).update_classes(&targets, &targets),
        "ConfusionMatrix: a prediction is 2: with 2 classes it must be from 0 to 1, or -100 to be ignored",
    );
    panics(
        || ConfusionMatrix::new(2).update(&scores, &pair),
        "ConfusionMatrix: there are scores of 3 classes: the matrix has 2",
    );
    panics(
        || MacroRocAuc::new(2).update(&scores, &pair),
        "MacroRocAuc: there are scores of 3 classes: the metric has 2",
    );

    let message =
        |metric| format!("{metric}: scores of shape [2] and targets of shape [3]: the shapes must be equal");
    panics(|| RocAuc::new().update([0.0, 1.0], &targets), &message("RocAuc"));
    panics(|| AveragePrecision::new().update([0.0, 1.0], &targets), &message("AveragePrecision"));
    panics(
        || RocAuc::new().update([0.0, 1.0, 2.0], &targets),
        "RocAuc: a target is 2: with 2 classes it must be from 0 to 1, or -100 to be ignored",
    );

    let message = |metric| {
        format!("{metric}: predictions of shape [2] and targets of shape [1]: the shapes must be equal")
    };
    panics(|| Mae::new().update([0.0, 1.0], [0.0]), &message("Mae"));
    panics(|| Mse::new().update([0.0, 1.0], [0.0]), &message("Mse"));
    panics(|| Rmse::new().update([0.0, 1.0], [0.0]), &message("Rmse"));
    panics(|| R2::new().update([0.0, 1.0], [0.0]), &message("R2"));
}

#[test]
fn options() {
    panics(|| TopK::new(0), "TopK: k is 0: it must be 1 or larger");
    panics(|| ConfusionMatrix::new(0), "ConfusionMatrix: there are 0 classes: there must be 1 or more");
    panics(
        || ConfusionMatrix::with_names::<&str>([]),
        "ConfusionMatrix: there are 0 names: there must be 1 or more, one for each class",
    );
    let mut model = Linear::<f32>::new(1, 1, &mut seeded(0));
    panics(
        || predict(&mut model, Vec::<Tensor>::new(), |model, x| model.forward(x)),
        "predict: there are no batches, from whose outputs the result would have its shape",
    );
    panics(|| MacroRocAuc::new(1), "MacroRocAuc: the number of classes is 1: it must be 2 or larger");
    let mut mean = Mean::new();
    panics(|| mean.update_weighted(1.0, -1.0), "Mean: the weight is -1: it must be 0 or larger, and finite");
    panics(|| EarlyStopping::min().patience(0), "patience: the patience is 0: it must be 1 or larger");
    panics(
        || EarlyStopping::min().min_delta(f64::NAN),
        "min_delta: the margin is NaN: it must be 0 or larger, and finite",
    );
    let gradients = Var::leaf(Tensor::from(1.0)).square().backward();
    panics(
        || MeanGradients::new().add(gradients, 0),
        "MeanGradients: the number of samples is 0: it must be 1 or larger",
    );
    #[cfg(feature = "safetensors")]
    panics(
        || gradus_train::LastCheckpoints::new("folder", 0),
        "LastCheckpoints: the number of files is 0: it must be 1 or larger",
    );
}

#[test]
fn rows_of_logs() {
    let folder = Folder::new("messages");
    let (mut csv, mut jsonl) = (CsvLog::new(folder.file("log.csv")), JsonlLog::new(folder.file("log.jsonl")));
    panics(|| csv.row(1, &[]), "row: there are no numbers: there must be one or more");
    panics(
        || jsonl.row(1, &[("a\"b", 0.0)]),
        r#"row: a name is "a\"b": it must have letters, and no comma, quote, backslash or control character"#,
    );
    csv.row(1, &[("loss", 0.0)]).unwrap();
    panics(
        || csv.row(2, &[("accuracy", 0.0)]),
        r#"CsvLog: a row has the names ["accuracy"]: the row before has ["loss"]"#,
    );
}

#[test]
fn the_loop() {
    let linear = || Linear::<f64>::new(2, 1, &mut gradus_autograd::seeded(0));
    let fit = || Fit::<Linear<f64>, f64>::new(2);
    panics(|| fit().patience(0), "patience: the patience is 0: it must be 1 or larger");
    panics(|| fit().accumulate(0), "accumulate: the number of batches is 0: it must be 1 or larger");
    let loss = |model: &Linear<f64>, x: [f64; 2]| model.forward(x).mse_loss([1.0]);
    let (mut model, mut sgd) = (linear(), Sgd::new(0.1));
    panics(|| fit().run(&mut model, &mut sgd, |_| [[0.0; 2]; 0], loss), "Fit: epoch 1 has no batches");
    let plateau = gradus_nn::ReduceLrOnPlateau::min();
    panics(
        || fit().plateau(plateau).schedule(|_, lr| lr).run(&mut model, &mut sgd, |_| [[0.0, 1.0]], loss),
        "Fit: there are a plateau and a schedule: the schedule would undo the reductions of the plateau",
    );
    panics(
        || fit().watch_max("accuracy").run(&mut model, &mut sgd, |_| [[0.0, 1.0]], loss),
        r#"Fit: no value "accuracy" to watch: the row has ["loss", "lr"]"#,
    );
}
