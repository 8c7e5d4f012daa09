//! Nodes of Flower against a small server that answers as a test tells it to.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gradus_autograd::{Tensor, seeded};
use gradus_federated::flower::{FlowerError, Link, Node, Progress};
use gradus_nn::{Linear, Module, Sequential};

use crate::common::{Model, Points, Way, distance, model, numbers};
use crate::flower_server::{Answer, Store, bytes, field, fields, hash, joined, number, request, server};

fn link(address: &str) -> Link {
    Link::new(address).unwrap().retry(3, Duration::from_millis(1)).timeout(Duration::from_secs(5))
}

fn node(address: &str) -> Node<Model, Points, f64> {
    Node::new(link(address), model(), Points::new(0, 5)).poll(Duration::from_millis(1))
}

#[test]
fn a_server_that_is_not_there() {
    let address = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let error = node(&address).run(|_| true).unwrap_err();
    assert!(matches!(error, FlowerError::Unreachable { attempts: 3, call: "register-node", .. }), "{error}");
    assert!(
        error.to_string().starts_with(&format!("register-node: no answer from {address} in 3 attempts: "))
    );
    assert_eq!(
        Link::new("127.0.0.1:9").unwrap_err().to_string(),
        "Link::new: the address \"127.0.0.1:9\" must begin with https:// or http://"
    );
    assert_eq!(
        Link::new("https://a").unwrap().root_certificates("").unwrap_err().to_string(),
        "root_certificates: there is no certificate"
    );
}

#[test]
fn a_server_that_breaks_off_refuses_or_answers_nonsense() {
    let answers: [(Answer, &str); 4] = [
        (None, "no answer from"),
        (Some((200, b"\xff\xff\xff".to_vec())), "answers nonsense"),
        (Some((403, b"not you".to_vec())), "refuses with status 403: not you"),
        (Some((503, Vec::new())), "in 3 attempts: status 503"),
    ];
    for (answer, expected) in answers {
        let address = server(move |_, _| answer.clone());
        let mut node = node(&address);
        let error = node.run(|_| true).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(numbers(node.model()), numbers(&model()));
    }
    // A number of a node that is none.
    let address =
        server(|call, _| if call == "activate-node" { Some((200, Vec::new())) } else { joined(call) });
    let error = node(&address).run(|_| true).unwrap_err().to_string();
    assert!(error.ends_with("a node without a number"), "{error}");
}

/// The whole course of a message, with a server that is away at each step of it: the reply arrives once, with the arrays that
/// local training gives.
#[test]
fn a_message_is_trained_and_answered_although_the_server_is_away_for_a_while() {
    let (mut store, mut begun) = (Store::default(), model());
    begun.parameters_mut()[0].update(|weight| *weight = Tensor::from([[0.25, -3.0]]));
    let (metadata, tree) = store.train(&begun);
    let pushed = Arc::new(Mutex::new((Vec::new(), BTreeMap::new())));
    let (sink, mut asked, mut failures) = (pushed.clone(), 0, BTreeMap::new());
    let away = ["pull-object", "confirm-message-received", "push-messages", "push-object"];
    let address = server(move |call, body| {
        if away.contains(&call) {
            let failures = failures.entry(call.to_string()).or_insert(0);
            *failures += 1;
            // As often as one run tries: the node is run again and goes on.
            if *failures <= 3 {
                return if *failures % 2 == 0 { None } else { Some((500, Vec::new())) };
            }
        }
        match call {
            "pull-messages" => {
                asked += 1;
                let message = [bytes(2, &bytes(1, &metadata)), bytes(3, &tree)].concat();
                return Some((200, if asked == 1 { message } else { Vec::new() }));
            }
            "pull-object" => {
                let name = String::from_utf8(field(body, 3)).unwrap();
                let content = &store.objects[&name];
                return Some((200, [number(1, 1), number(2, 1), bytes(3, content)].concat()));
            }
            "push-messages" => {
                let mut sink = sink.lock().unwrap();
                sink.0.push(body.to_vec());
                let mut names = Vec::new();
                let mut trees = vec![field(body, 3)];
                while let Some(tree) = trees.pop() {
                    names.extend(bytes(3, &field(&tree, 1)));
                    trees
                        .extend(fields(&tree).into_iter().filter(|(tag, _)| *tag == 2).map(|(_, tree)| tree));
                }
                return Some((200, [names, bytes(4, b"session")].concat()));
            }
            "push-object" => {
                let name = String::from_utf8(field(body, 3)).unwrap();
                assert_eq!(field(body, 5), b"session");
                sink.lock().unwrap().1.insert(name, field(body, 4));
                return Some((200, number(1, 1)));
            }
            _ => (),
        }
        joined(call)
    });
    let mut node = node(&address);
    let mut asked = 0;
    let mut done = |progress: Progress| {
        asked += 1;
        // A message that was lost never comes.
        progress.trained == 0 && asked < 100
    };
    for expected in away {
        let error = node.run(&mut done).unwrap_err();
        assert!(matches!(error, FlowerError::Unreachable { call, .. } if call == expected), "{error}");
    }
    node.run(&mut done).unwrap();
    assert_eq!(node.progress(), Progress { trained: 1, evaluated: 0, failed: 0 });

    Points::new(0, 5).train(&mut begun);
    assert!(distance(&numbers(node.model()), &numbers(&begun)) < 1e-14, "trained from the server's numbers");
    let (messages, objects) = &*pushed.lock().unwrap();
    // Twice: objects of the first reply could not follow it.
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0], messages[1]);
    for (name, content) in objects {
        assert_eq!(*name, hash(content));
    }
    // The numbers stand at the end of the chunks.
    let tail = |parameter: usize| -> Vec<u8> {
        let value = begun.parameters()[parameter].value().to_vec();
        value.into_iter().flat_map(f64::to_le_bytes).collect()
    };
    for parameter in [0, 1] {
        let holds =
            |content: &Vec<u8>| content.starts_with(b"ArrayChunk") && content.ends_with(&tail(parameter));
        assert!(objects.values().any(holds), "parameter {parameter}");
    }
    let reply = field(&field(&messages[0], 2), 1);
    assert_eq!((field(&reply, 5), field(&reply, 8)), (b"the message".to_vec(), b"train".to_vec()));
    assert_eq!(field(&field(&messages[0], 2), 2), b"", "an empty content");
}

/// Runs a node of this model against a server with one message whose objects a function changes; gives the error of the
/// node, or the error that it replied.
fn with_objects(model: Model, points: Points, change: impl Fn(&mut Vec<u8>) + Send + 'static) -> String {
    answered(&crate::common::model(), model, points, change)
}

/// As [`with_objects`], with the model that the server sends.
fn answered(
    sent: &Model,
    model: Model,
    points: Points,
    change: impl Fn(&mut Vec<u8>) + Send + 'static,
) -> String {
    let (mut store, before) = (Store::default(), numbers(&model));
    let (metadata, tree) = store.train(sent);
    let replied = Arc::new(Mutex::new(String::new()));
    let (sink, mut asked) = (replied.clone(), 0);
    let address = server(move |call, body| match call {
        "pull-messages" => {
            asked += 1;
            let message = [bytes(2, &bytes(1, &metadata)), bytes(3, &tree)].concat();
            Some((200, if asked == 1 { message } else { Vec::new() }))
        }
        "pull-object" => {
            let mut content = store.objects[&String::from_utf8(field(body, 3)).unwrap()].clone();
            change(&mut content);
            Some((200, [number(1, 1), number(2, 1), bytes(3, &content)].concat()))
        }
        "push-messages" => {
            *sink.lock().unwrap() = String::from_utf8(field(&field(&field(body, 2), 3), 2)).unwrap();
            Some((200, Vec::new()))
        }
        _ => joined(call),
    });
    let mut node: Node<Model, Points, f64> =
        Node::new(link(&address), model, points).poll(Duration::from_millis(1));
    if let Err(error) = node.run(|progress| progress.failed + progress.trained == 0) {
        return error.to_string();
    }
    assert_eq!(node.progress().failed, 1);
    assert_eq!(numbers(node.model()), before, "the model stays as it was");
    replied.lock().unwrap().clone()
}

#[test]
fn objects_and_models_that_do_not_fit() {
    let changed = with_objects(model(), Points::new(0, 5), |content| *content.last_mut().unwrap() ^= 1);
    assert!(changed.contains("pull-object") && changed.contains("has the hash"), "{changed}");

    let wider = Sequential::new().push(Linear::new(3, 1, &mut seeded(0)));
    let reply = with_objects(wider, Points::new(0, 5), |_| ());
    assert!(reply.contains("0.weight") && reply.contains("[1, 2]") && reply.contains("[1, 3]"), "{reply}");

    let fails = with_objects(model(), Points::new(0, 5).way(Way::Fails), |_| ());
    assert_eq!(fails, "the battery is empty");
    let nan = with_objects(model(), Points::new(0, 5).way(Way::Number(f64::NAN)), |_| ());
    assert_eq!(nan, "\"0.weight\" is not finite after training: the update is not sent");
    let mut sent = model();
    sent.parameters_mut()[0].update(|weight| *weight = Tensor::from([[0.5, f64::NAN]]));
    let refused = answered(&sent, model(), Points::new(0, 5), |_| ());
    assert_eq!(refused, "\"0.weight\" from the server is not finite: the model stays as it was");
}

#[test]
fn a_server_that_was_started_again_is_joined_again() {
    let joins = Arc::new(Mutex::new(0));
    let (count, mut forgotten) = (joins.clone(), true);
    let address = server(move |call, _| match call {
        "pull-messages" | "send-node-heartbeat" if forgotten => {
            // Forgets the node until it is activated again.
            Some((401, b"unknown".to_vec()))
        }
        "activate-node" => {
            let mut count = count.lock().unwrap();
            *count += 1;
            forgotten = *count < 2;
            joined(call)
        }
        _ => joined(call),
    });
    let mut asked = 0;
    node(&address)
        .run(|_| {
            asked += 1;
            asked < 4
        })
        .unwrap();
    assert_eq!(*joins.lock().unwrap(), 2);

    // One that never knows the node is not called for ever.
    let joins = Arc::new(Mutex::new(0));
    let count = joins.clone();
    let address = server(move |call, _| match call {
        "pull-messages" | "send-node-heartbeat" => Some((401, b"unknown".to_vec())),
        _ => {
            *count.lock().unwrap() += u32::from(call == "activate-node");
            joined(call)
        }
    });
    let error = node(&address).run(|_| true).unwrap_err();
    assert!(matches!(error, FlowerError::Refused { status: 401, .. }), "{error}");
    assert_eq!(*joins.lock().unwrap(), 4);
}

/// As [`server`], with TLS and the certificate of the tests.
fn tls_server() -> String {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../tls/server.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            let Some((path, _)) = request(&mut stream) else { continue };
            let (status, body) = joined(path.rsplit('/').next().unwrap_or_default()).unwrap();
            let head = format!(
                "HTTP/1.1 {status} Answer\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            drop(stream.write_all(&[head.as_bytes(), &body].concat()));
            stream.conn.send_close_notify();
            drop(stream.flush());
        }
    });
    address
}

#[test]
fn certificates_are_checked() {
    let address = tls_server();
    let node = |link: Link| -> Node<Model, Points, f64> { Node::new(link, model(), Points::new(0, 5)) };
    let trusting = link(&address).root_certificates(include_str!("../tls/authority.pem")).unwrap();
    node(trusting).run(|_| false).unwrap();
    let others = link(&address).root_certificates(include_str!("../tls/other.pem")).unwrap();
    for link in [link(&address), others] {
        let error = node(link).run(|_| false).unwrap_err();
        assert!(matches!(error, FlowerError::Tls { call: "register-node", .. }), "{error}");
    }
}
