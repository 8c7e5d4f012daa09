//! The guide: short chapters, whose code the tests compile and run.
//!
//! Read the first one and write a model; the others can wait until you need them.
//!
//! | chapter | answers |
//! | --- | --- |
//! | [1. A first model](crate::guide::ch01_first_model) | How do I get from an empty folder to a trained network? |
//! | [2. Tensors](crate::guide::ch02_tensors) | How do I make, cut, combine and print arrays of numbers? |
//! | [3. Gradients](crate::guide::ch03_gradients) | How do I ask for derivatives, of any order? |
//! | [4. The tape](crate::guide::ch04_tape) | What happens between `forward` and `backward`? |
//! | [5. Layers](crate::guide::ch05_layers) | How do I build a model, and what is in the box? |
//! | [6. Training](crate::guide::ch06_training) | How do data, optimizers, schedules and metrics fit together? |
//! | [7. Saving](crate::guide::ch07_saving) | How do I keep weights, resume a run, read PyTorch's files? |
//! | [8. An operation of your own](crate::guide::ch08_own_operation) | How do I write a gradient, and how can I trust it? |
//! | [9. Speed](crate::guide::ch09_speed) | What is fast, what costs, and how do I measure it? |
//! | [10. From PyTorch](crate::guide::ch10_from_pytorch) | What is the name here of what I know from there? |
//! | [11. From candle and burn](crate::guide::ch11_from_candle_and_burn) | The same for two frameworks in Rust. |
//! | [12. Questions](crate::guide::ch12_questions) | Why is there no in-place operation, no GPU, no `f16`? |
//! | [13. Explanations](crate::guide::ch13_explain) | Why does my network decide so, and can I believe it? |
//! | [14. Compiled functions](crate::guide::ch14_compiled) | When is a step worth recording once, and what can it not do? |
//! | [15. Smaller networks](crate::guide::ch15_smaller) | What can go from my network, and what does it cost? |
//! | [16. Private and distributed](crate::guide::ch16_private_and_distributed) | My data must not be seen, or one machine is not enough: which way is mine? |
//!
//! Two documents of the repository go deeper: CONVENTIONS.md says which value and which derivative each function has at
//! kinks, ties, zeros and infinities, and ARCHITECTURE.md how the library is built and how to add to it.

/// Modules that hold a chapter each. A chapter that needs features is shown without them, and tested with them.
macro_rules! chapters {
    ($($name:ident: $file:literal $(needs $($feature:literal),+)?;)*) => {$(
        #[cfg_attr(all($($(any(not(doctest), feature = $feature)),+)?), doc = include_str!($file))]
        pub mod $name {}
    )*};
}

chapters! {
    ch01_first_model: "01_first_model.md" needs "safetensors";
    ch02_tensors: "02_tensors.md";
    ch03_gradients: "03_gradients.md";
    ch04_tape: "04_tape.md";
    ch05_layers: "05_layers.md";
    ch06_training: "06_training.md" needs "csv";
    ch07_saving: "07_saving.md" needs "safetensors";
    ch08_own_operation: "08_own_operation.md" needs "proptest";
    ch09_speed: "09_speed.md";
    ch10_from_pytorch: "10_from_pytorch.md";
    ch11_from_candle_and_burn: "11_from_candle_and_burn.md";
    ch12_questions: "12_questions.md";
    ch13_explain: "13_explain.md" needs "explain";
    ch14_compiled: "14_compiled.md";
    ch15_smaller: "15_smaller.md" needs "quant", "compress";
    ch16_private_and_distributed: "16_private_and_distributed.md" needs "privacy", "data", "federated", "encrypted", "distributed";
}
