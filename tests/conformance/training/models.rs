//! The models of the runs, made of layers.

use std::ops::{Deref, DerefMut};

use gradus::{
    BatchNorm2d, Conv, Conv2d, Embedding, Gradients, Gru, LayerNorm, Linear, Lstm, Member, MemberMut, Module,
    Parameter, Path, Rng, Tensor, Var, seeded,
};

use super::Data;
use super::options::Options;
use crate::data::{Archive, Result};
use crate::operations;

/// A model that can be trained on data.
pub(crate) trait Model: Module<f64> {
    fn forward(&self, x: &Data) -> Var<f64>;
}

/// A model with the names that the data have for its parameters and buffers, in its own order.
pub(crate) struct Named {
    model: Box<dyn Model>,
    parameters: Vec<&'static str>,
    buffers: Vec<&'static str>,
}

const LAYER_0: &str = "weight_ih_l0 weight_hh_l0 bias_ih_l0 bias_hh_l0";
const LAYER_1: &str = "weight_ih_l1 weight_hh_l1 bias_ih_l1 bias_hh_l1";
const TRANSFORMER: &str = "tok pos ln1_g ln1_b wq bq wk wv bv wo bo ln2_g ln2_b w1 b1 w2 b2 lnf_g lnf_b";

impl Named {
    /// The model that a run asks for.
    pub(crate) fn of(options: &mut Options) -> Result<Self> {
        let name = options.text("model")?;
        let rng = &mut seeded(0);
        let (model, parameters, buffers): (Box<dyn Model>, &[&str], &str) = match &name[..] {
            "mlp" => (Box::new(Mlp::new(options, rng)?), &["w0 b0 w1 b1 w2 b2"], ""),
            "cnn" => {
                (Box::new(Cnn::new(rng)), &["k0 gamma0 beta0 k1 gamma1 beta1 w b"], "mean0 var0 mean1 var1")
            }
            "lstm" => (Box::new(Recurrent::lstm(6, 1, rng)), &[LAYER_0, "w b"], ""),
            "lstm2" => (Box::new(Recurrent::lstm(5, 2, rng)), &[LAYER_0, LAYER_1, "w b"], ""),
            "gru" => (Box::new(Recurrent::gru(6, 1, rng)), &[LAYER_0, "w b"], ""),
            "transformer" => (Box::new(Transformer::new(false, rng)), &[TRANSFORMER, "wout"], ""),
            "transformer_tied" => (Box::new(Transformer::new(true, rng)), &[TRANSFORMER], ""),
            _ => return Err(format!("model {name}")),
        };
        let parameters = parameters.iter().flat_map(|names| names.split_whitespace()).collect();
        let named = Self { model, parameters, buffers: buffers.split_whitespace().collect() };
        for (kind, names) in [("params", &named.parameters), ("buffers", &named.buffers)] {
            let (mut listed, mut names) = (options.texts(kind)?, names.clone());
            listed.sort_unstable();
            names.sort_unstable();
            if listed != names {
                return Err(format!("model {name} with {kind} {listed:?}"));
            }
        }
        Ok(named)
    }

    /// Sets all parameters to what they are before the first step.
    pub(crate) fn load(&mut self, archive: &Archive) {
        let mut names = self.parameters.iter();
        for parameter in self.model.parameters_mut() {
            let name = names.next().expect("as many names as parameters");
            parameter.set(archive.f64(&format!("init/{name}")));
        }
        assert_eq!(names.next(), None, "a name without a parameter");
    }

    pub(crate) fn values(&self) -> Vec<(&str, &Tensor<f64>)> {
        self.named().map(|(name, parameter)| (name, parameter.value())).collect()
    }

    /// The gradients of all parameters, each of which must have one.
    pub(crate) fn gradients<'a>(&'a self, gradients: &'a Gradients<f64>) -> Vec<(&'a str, &'a Tensor<f64>)> {
        let gradient = |name, parameter| {
            gradients.get(parameter).unwrap_or_else(|| panic!("there is no gradient for {name}"))
        };
        self.named().map(|(name, parameter)| (name, gradient(name, parameter))).collect()
    }

    pub(crate) fn buffers(&self) -> Vec<(&str, Tensor<f64>)> {
        let buffers = self.model.named_buffers().into_iter().map(|(_, buffer)| buffer.value());
        self.buffers.iter().copied().zip(buffers).collect()
    }

    fn named(&self) -> impl Iterator<Item = (&str, &Parameter<f64>)> {
        self.parameters.iter().copied().zip(self.model.parameters())
    }
}

impl Module<f64> for Named {
    fn visit<'a>(&'a self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, Member<'a, f64>)) {
        self.model.visit(path, visitor);
    }

    fn visit_mut<'a>(&'a mut self, path: Path<'_>, visitor: &mut dyn FnMut(Path<'_>, MemberMut<'a, f64>)) {
        self.model.visit_mut(path, visitor);
    }
}

impl Deref for Named {
    type Target = dyn Model;
    fn deref(&self) -> &Self::Target {
        &*self.model
    }
}

impl DerefMut for Named {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.model
    }
}

#[derive(Module)]
struct Mlp {
    layers: [Linear<f64>; 3],
    #[module(skip)]
    activation: fn(&Var<f64>) -> Var<f64>,
}

impl Mlp {
    fn new(options: &mut Options, rng: &mut impl Rng) -> Result<Self> {
        let name = options.text_or("act", "tanh")?;
        let activation = operations::activation(&name).ok_or_else(|| format!("activation {name}"))?;
        Ok(Self {
            layers: [[8, 16], [16, 16], [16, 4]].map(|[from, to]| Linear::new(from, to, rng)),
            activation,
        })
    }
}

impl Model for Mlp {
    fn forward(&self, x: &Data) -> Var<f64> {
        let [first, second, last] = &self.layers;
        let hidden = (self.activation)(&first.forward(x.numbers()));
        last.forward((self.activation)(&second.forward(&hidden)))
    }
}

#[derive(Module)]
struct Cnn {
    conv0: Conv2d<f64>,
    norm0: BatchNorm2d<f64>,
    conv1: Conv2d<f64>,
    norm1: BatchNorm2d<f64>,
    out: Linear<f64>,
}

impl Cnn {
    fn new(rng: &mut impl Rng) -> Self {
        Self {
            conv0: Conv2d::new(1, 4, [3, 3], Conv::new().padding(1), rng).without_bias(),
            norm0: BatchNorm2d::new(4),
            conv1: Conv2d::new(4, 6, [3, 3], Conv::new(), rng).without_bias(),
            norm1: BatchNorm2d::new(6),
            out: Linear::new(6, 3, rng),
        }
    }
}

impl Model for Cnn {
    fn forward(&self, x: &Data) -> Var<f64> {
        let x = self.norm0.forward(self.conv0.forward(x.numbers())).relu().max_pool2d(2);
        let x = self.norm1.forward(self.conv1.forward(&x)).relu();
        self.out.forward(x.mean([-2, -1]))
    }
}

#[derive(Module)]
struct Recurrent<R> {
    layers: R,
    out: Linear<f64>,
    /// The hidden states after every step.
    #[module(skip)]
    states: fn(&R, &Var<f64>) -> Var<f64>,
}

impl Recurrent<Lstm<f64>> {
    fn lstm(hidden: usize, layers: usize, rng: &mut impl Rng) -> Self {
        Self {
            layers: Lstm::new(4, hidden, layers, rng).batch_first(),
            out: Linear::new(hidden, 1, rng),
            states: |lstm, x| lstm.forward(x, None).0,
        }
    }
}

impl Recurrent<Gru<f64>> {
    fn gru(hidden: usize, layers: usize, rng: &mut impl Rng) -> Self {
        Self {
            layers: Gru::new(4, hidden, layers, rng).batch_first(),
            out: Linear::new(hidden, 1, rng),
            states: |gru, x| gru.forward(x, None).0,
        }
    }
}

impl<R: Module<f64>> Model for Recurrent<R> {
    fn forward(&self, x: &Data) -> Var<f64> {
        self.out.forward((self.states)(&self.layers, x.numbers()))
    }
}

#[derive(Module)]
struct Transformer {
    tokens: Embedding<f64>,
    positions: Parameter<f64>,
    norm1: LayerNorm<f64>,
    query: Linear<f64>,
    key: Linear<f64>,
    value: Linear<f64>,
    attended: Linear<f64>,
    norm2: LayerNorm<f64>,
    linear1: Linear<f64>,
    linear2: Linear<f64>,
    norm: LayerNorm<f64>,
    /// None if the weight is that of the tokens.
    out: Option<Linear<f64>>,
}

impl Transformer {
    fn new(tied: bool, rng: &mut impl Rng) -> Self {
        let [tokens, length, width, hidden] = [11, 7, 12, 24];
        Self {
            tokens: Embedding::new(tokens, width, rng),
            positions: Parameter::new(Tensor::zeros([length, width])),
            norm1: LayerNorm::new([width]),
            query: Linear::new(width, width, rng),
            key: Linear::new(width, width, rng).without_bias(),
            value: Linear::new(width, width, rng),
            attended: Linear::new(width, width, rng),
            norm2: LayerNorm::new([width]),
            linear1: Linear::new(width, hidden, rng),
            linear2: Linear::new(hidden, width, rng),
            norm: LayerNorm::new([width]),
            out: (!tied).then(|| Linear::new(width, tokens, rng).without_bias()),
        }
    }

    /// Causal attention of two heads.
    fn attention(&self, x: &Var<f64>) -> Var<f64> {
        let [batch, length, width] = [0, 1, 2].map(|axis| x.shape()[axis]);
        let [query, key, value] = [&self.query, &self.key, &self.value]
            .map(|layer| layer.forward(x).reshape([batch, length, 2, width / 2]).transpose(1, 2));
        let heads = query.scaled_dot_product_attention(&key, &value, None, true, None);
        self.attended.forward(heads.transpose(1, 2).reshape([batch, length, width]))
    }
}

impl Model for Transformer {
    fn forward(&self, x: &Data) -> Var<f64> {
        let x = self.tokens.forward(x.indices()) + &self.positions;
        let x = &x + self.attention(&self.norm1.forward(&x));
        let hidden = self.linear1.forward(self.norm2.forward(&x)).gelu();
        let x = self.norm.forward(&(x + self.linear2.forward(&hidden)));
        match &self.out {
            Some(out) => out.forward(&x),
            None => x.linear(&self.tokens.weight, None),
        }
    }
}
