//! Convolutions and poolings whose shapes and attributes do not fit.

use gradus::{Conv, Conv2d, Flatten, Pool, seeded};

use super::{leaf, panics};

#[test]
fn convolutions() {
    let (x, weight) = (leaf(&[2, 4, 5, 6]), leaf(&[6, 4, 3, 3]));
    let conv2d = |what: &str| format!("conv2d: {what}");
    panics(
        || leaf(&[5, 6]).conv2d(&weight, None, Conv::new()),
        "conv2d: shapes [5, 6] and [6, 4, 3, 3] do not fit: the input must have the axes [batch (or none), channels, \
         height, width], the weight [out_channels, channels / groups, kernel_height, kernel_width]",
    );
    panics(
        || leaf(&[4, 5]).conv1d(&weight, None, Conv::new()),
        "conv1d: shapes [4, 5] and [6, 4, 3, 3] do not fit: the input must have the axes [batch (or none), channels, \
         length], the weight [out_channels, channels / groups, kernel]",
    );
    let groups = |groups: usize| {
        format!(
            "conv2d: groups is {groups} for shape [2, 4, 5, 6]: it must divide the 4 channels of the input and the 6 \
             output channels of the weight"
        )
    };
    panics(|| x.conv2d(&weight, None, Conv::new().groups(4)), &groups(4));
    panics(|| x.conv2d(&weight, None, Conv::new().groups(0)), &groups(0));
    panics(
        || x.conv2d(&weight, None, Conv::new().groups(2)),
        "conv2d: the weight's shape is [6, 4, 3, 3] for shape [2, 4, 5, 6]: it is for inputs of 8 \
         channels (its second axis times the groups, 2), and the input has 4",
    );
    panics(
        || x.conv2d(&weight, Some(&leaf(&[4])), Conv::new()),
        "conv2d: the bias's shape is [4] for shape [6, 4, 3, 3]: it must be [6], the size of the weight's first axis",
    );
    let least = |argument: &str, got: &str, least: usize| {
        conv2d(&format!(
            "{argument} is {got} for shape [2, 4, 5, 6]: it must be one number, or 2 for height and width, at least \
             {least}"
        ))
    };
    panics(|| x.conv2d(&weight, None, Conv::new().stride([1, 0])), &least("stride", "[1, 0]", 1));
    panics(|| x.conv2d(&weight, None, Conv::new().dilation(0)), &least("dilation", "[0]", 1));
    panics(|| x.conv2d(&weight, None, Conv::new().padding([-1, 1])), &least("padding", "[-1, 1]", 0));
    panics(|| x.conv2d(&weight, None, Conv::new().stride([1, 1, 1])), &least("stride", "[1, 1, 1]", 1));
    panics(
        || leaf(&[4, 5]).conv1d(&leaf(&[6, 4, 3]), None, Conv::new().stride([1, 1])),
        "conv1d: stride is [1, 1] for shape [4, 5]: it must be one number, at least 1",
    );
    let kernel = "conv2d: the kernel is [3, 3] for shape [2, 4, 5, 6]: with dilation [1, 4] it spans [3, 9], and must \
                  be at least 1 and at most [5, 8], the input with its padding";
    let conv = || Conv::new().dilation([1, 4]).padding([0, 1]);
    panics(|| x.conv2d(&weight, None, conv()), kernel);
    panics(|| x.value().conv2d(weight.value(), None, conv()), kernel);
    panics(
        || x.conv2d_weight([6, 4, 3, 3], &leaf(&[2, 6, 3, 3]), Conv::new()),
        "conv2d_weight: the shape of the gradient for the output is [2, 6, 3, 3] for shape [2, 4, 5, 6]: it must be \
         [2, 6, 3, 4], the shape of the convolution, with a batch",
    );
}

#[test]
fn transposed_convolutions() {
    let (x, weight) = (leaf(&[2, 4, 5, 6]), leaf(&[4, 3, 3, 3]));
    panics(
        || x.conv_transpose2d(&leaf(&[6, 3, 3, 3]), None, Conv::new()),
        "conv_transpose2d: the weight's shape is [6, 3, 3, 3] for shape [2, 4, 5, 6]: it is for inputs of 6 \
         channels (its first axis), and the input has 4",
    );
    panics(
        || x.conv_transpose2d(&weight, None, Conv::new().stride([2, 1]).output_padding(1)),
        "conv_transpose2d: output_padding is [1, 1] for shape [2, 4, 5, 6]: it must be less than the stride [2, 1] or \
         the dilation [1, 1]",
    );
    panics(
        || x.conv_transpose2d(&weight, None, Conv::new().groups(3)),
        "conv_transpose2d: groups is 3 for shape [2, 4, 5, 6]: it must divide the 4 channels of the input",
    );
    panics(
        || x.conv_transpose2d(&weight, Some(&leaf(&[3])), Conv::new().groups(2)),
        "conv_transpose2d: the bias's shape is [3] for shape [4, 3, 3, 3]: it must be [6], the size of the weight's \
         second axis times the groups",
    );
    panics(
        || leaf(&[4, 1]).conv_transpose1d(&leaf(&[4, 3, 2]), None, Conv::new().padding(1)),
        "conv_transpose2d: padding is [1] for shape [4, 1]: with a kernel of [2] nothing would be left: input and \
         kernel must not be empty, and (input - 1) * stride + dilation * (kernel - 1) + output_padding + 1 must be \
         more than 2 * padding"
            .replace("conv_transpose2d", "conv_transpose1d")
            .as_str(),
    );
}

#[test]
fn poolings() {
    let x = leaf(&[2, 3, 4, 5]);
    let axes = "max_pool2d: the number of axes is 2 for shape [4, 5]: it must have the axes [batch (or none), \
                channels, height, width], the last two not empty";
    panics(|| leaf(&[4, 5]).max_pool2d(2), axes);
    panics(
        || x.max_pool2d(Pool::new([2, 3]).padding(2)),
        "max_pool2d: padding is [2, 2] for shape [2, 3, 4, 5]: it must be at most half of the kernel [2, 3]",
    );
    panics(
        || x.avg_pool2d(Pool::new([5, 1])),
        "avg_pool2d: the kernel is [5, 1] for shape [2, 3, 4, 5]: with dilation [1, 1] it must not span more than \
         [4, 5], the input with its padding",
    );
    panics(
        || x.avg_pool2d(Pool::new(2).dilation(2)),
        "avg_pool2d: dilation is [2] for shape [2, 3, 4, 5]: a mean has none: it must be 1",
    );
    let least = |operation: &str, argument: &str| {
        format!(
            "{operation}: {argument} is [0] for shape [2, 3, 4, 5]: it must be one number, or 2 for height and width, \
             at least 1"
        )
    };
    panics(|| x.max_pool2d(Pool::new(2).stride(0)), &least("max_pool2d", "stride"));
    panics(|| x.max_pool2d(0), &least("max_pool2d", "the kernel"));
    panics(|| x.adaptive_avg_pool2d(0), &least("adaptive_avg_pool2d", "the output size"));
}

#[test]
fn layers() {
    let rng = &mut seeded(0);
    panics(
        || Conv2d::<f64>::new(3, 4, [3, 3], Conv::new().groups(2), rng),
        "conv2d: groups is 2 for 3 input channels and 4 output channels: it must divide both",
    );
    panics(|| Flatten.forward(leaf(&[])), "flatten: the input has shape []: it needs an axis, the batch");
}
