//! Updates of nodes of Flower, clipped and with noise.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use gradus_autograd::npy::{self, Array};
use gradus_federated::flower::{Link, Node};
use gradus_federated::{Privacy, PrivacyRecord, Simulation};

use crate::common::{Model, Points, distance, model, numbers};
use crate::flower_server::{Store, bytes, field, fields, joined, number, server};

/// The models that a node sends in answer to some messages, and the number of examples that it names.
fn sent(privacy: Option<Privacy>, count: usize) -> (Vec<Vec<f64>>, u64) {
    let mut store = Store::default();
    let (metadata, tree) = store.train(&model());
    let pushed = Arc::new(Mutex::new((Vec::new(), 0)));
    let sink = pushed.clone();
    let address = server(move |call, body| match call {
        "pull-messages" => Some((200, [bytes(2, &bytes(1, &metadata)), bytes(3, &tree)].concat())),
        "pull-object" => {
            let content = &store.objects[&String::from_utf8(field(body, 3)).unwrap()];
            Some((200, [number(1, 1), number(2, 1), bytes(3, content)].concat()))
        }
        "push-messages" => {
            let (mut names, mut trees) = (Vec::new(), vec![field(body, 3)]);
            while let Some(tree) = trees.pop() {
                names.extend(bytes(3, &field(&tree, 1)));
                trees.extend(fields(&tree).into_iter().filter(|(tag, _)| *tag == 2).map(|(_, tree)| tree));
            }
            Some((200, names))
        }
        "push-object" => {
            let content = field(body, 4);
            let end = content.iter().position(|&byte| byte == 0).unwrap();
            let (head, body) = (String::from_utf8(content[..end].into()).unwrap(), &content[end + 1..]);
            let mut sink = sink.lock().unwrap();
            if head.starts_with("ArrayChunk") {
                let Array::F64(array) = npy::from_bytes(body).unwrap() else { panic!("the type") };
                sink.0.push(array);
            } else if head.starts_with("MetricRecord") {
                let mut items = fields(body).into_iter().map(|(_, item)| item);
                let item = items.find(|item| field(item, 1) == b"num-examples").unwrap();
                // A zigzag integer below 64.
                sink.1 = u64::from(*item.last().unwrap() / 2);
            }
            Some((200, number(1, 1)))
        }
        _ => joined(call),
    });
    let link = Link::new(&address).unwrap().retry(1, Duration::from_millis(1));
    let mut node: Node<Model, Points, f64> = Node::new(link, model(), Points::new(0, 5));
    if let Some(privacy) = privacy {
        node = node.privacy(privacy).unwrap();
    }
    node.run(|progress| progress.trained < count).unwrap();
    let (arrays, examples) = &*pushed.lock().unwrap();
    let models = arrays.chunks(2).map(|pair| {
        let mut pair = pair.to_vec();
        pair.sort_by_key(|array| std::cmp::Reverse(array.len()));
        assert_eq!((pair[0].shape(), pair[1].shape()), (&[1, 2][..], &[1][..]));
        [pair[0].to_vec(), pair[1].to_vec()].concat()
    });
    (models.collect(), *examples)
}

#[test]
fn a_node_clips_as_a_simulation_does() {
    for (privacy, examples) in [(None, 5), (Some(1e-3), 1), (Some(1e3), 1)] {
        let privacy = privacy.map(|clip| Privacy::new(clip, 0.0).unwrap());
        let mut simulation = Simulation::new(model(), [Points::new(0, 5)]).unwrap();
        if let Some(privacy) = &privacy {
            simulation = simulation.privacy(privacy.clone());
        }
        simulation.round().unwrap();
        let (models, found) = sent(privacy, 1);
        assert!(distance(&models[0], &numbers(simulation.model())) < 1e-12);
        assert_eq!(found, examples);
    }
}

#[test]
fn a_node_adds_its_share_of_the_noise() {
    let (quiet, _) = sent(Some(Privacy::new(0.1, 0.0).unwrap()), 1);
    let (noisy, _) = sent(Some(Privacy::new(0.1, 6.0).unwrap().noise_by_clients(4).unwrap()), 20);
    let noise: Vec<f64> =
        noisy.iter().flat_map(|model| model.iter().zip(&quiet[0]).map(|(x, y)| x - y)).collect();
    assert_eq!(noise.len(), 60);
    let deviation = (noise.iter().map(|x| x * x).sum::<f64>() / 60.0).sqrt();
    // 0.1 * 6 / sqrt(4); of 60 numbers it is known to 9 %; four and a half times that.
    assert!((deviation / 0.3 - 1.0).abs() < 0.41, "{deviation}");
    let distinct = noise.iter().enumerate().all(|(i, x)| !noise[..i].contains(x));
    assert!(distinct, "no noise is used twice");
}

#[test]
fn privacy_of_a_node_is_its_own_noise() {
    let node = || -> Node<Model, Points, f64> {
        Node::new(Link::new("http://127.0.0.1:9").unwrap(), model(), Points::new(0, 5))
    };
    assert_eq!(node().privacy_record(), None);
    assert_eq!(
        node().privacy(Privacy::new(1.0, 0.5).unwrap()).err().unwrap().to_string(),
        "Node::privacy: `noise_multiplier` is 0.5: it must be 0, with the noise of a strategy of Flower, or shared by the \
         nodes with `noise_by_clients`"
    );
    let private = node().privacy(Privacy::new(1.0, 0.5).unwrap().noise_by_clients(3).unwrap()).unwrap();
    assert_eq!(
        private.privacy_record(),
        Some(PrivacyRecord { rounds: 0, sampling_rate: 1.0, noise_multiplier: 0.5 })
    );
}
