//! Values of the WIT interface to and from those of the C ABI. Nothing is copied but the structs.

use crate::bindings::wit;
use thole_process::abi::{Address, Array, Cap, Message, kind};

pub type Outgoing = (wit::Address, wit::Request, Option<wit::LazyLoadBlob>);

pub fn pid_to_abi(pid: wit::ProcessId) -> Address {
    Address {
        process: pid.process_name.into(),
        package: pid.package_name.into(),
        publisher: pid.publisher_node.into(),
        ..Address::default()
    }
}

pub fn pid_from_abi(address: &mut Address) -> wit::ProcessId {
    wit::ProcessId {
        process_name: address.process.take_text(),
        package_name: address.package.take_text(),
        publisher_node: address.publisher.take_text(),
    }
}

fn address_to_abi(address: wit::Address) -> Address {
    Address { node: address.node.into(), ..pid_to_abi(address.process) }
}

fn address_from_abi(address: &mut Address) -> wit::Address {
    wit::Address { node: address.node.take_text(), process: pid_from_abi(address) }
}

pub fn caps_to_abi(caps: Vec<wit::Capability>) -> Array<Cap> {
    caps.into_iter()
        .map(|cap| Cap { issuer: address_to_abi(cap.issuer), params: cap.params.into() })
        .collect()
}

pub fn caps_from_abi(caps: &mut Array<Cap>) -> Vec<wit::Capability> {
    caps.take_items()
        .into_iter()
        .map(|mut cap| wit::Capability {
            issuer: address_from_abi(&mut cap.issuer),
            params: cap.params.take_text(),
        })
        .collect()
}

/// Rights on the child that a spawn hands out: the receiver stands where the issuer would.
pub fn grants_to_abi(grants: Vec<(wit::ProcessId, String)>) -> Array<Cap> {
    grants
        .into_iter()
        .map(|(pid, params)| Cap { issuer: pid_to_abi(pid), params: params.into() })
        .collect()
}

pub fn request_to_abi((target, request, blob): Outgoing, context: Option<Vec<u8>>) -> Message {
    let mut message = Message {
        peer: address_to_abi(target),
        kind: kind::REQUEST,
        inherit: request.inherit,
        has_expects: request.expects_response.is_some(),
        expects_s: request.expects_response.unwrap_or(0),
        has_metadata: request.metadata.is_some(),
        metadata: request.metadata.unwrap_or_default().into(),
        has_context: context.is_some(),
        context: context.unwrap_or_default().into(),
        body: request.body.into(),
        caps: caps_to_abi(request.capabilities),
        ..Message::default()
    };
    blob_to_abi(&mut message, blob);
    message
}

pub fn response_to_abi(response: wit::Response, blob: Option<wit::LazyLoadBlob>) -> Message {
    let mut message = Message {
        kind: kind::RESPONSE,
        inherit: response.inherit,
        has_metadata: response.metadata.is_some(),
        metadata: response.metadata.unwrap_or_default().into(),
        body: response.body.into(),
        caps: caps_to_abi(response.capabilities),
        ..Message::default()
    };
    blob_to_abi(&mut message, blob);
    message
}

fn blob_to_abi(message: &mut Message, blob: Option<wit::LazyLoadBlob>) {
    if let Some(blob) = blob {
        message.has_blob = true;
        message.has_mime = blob.mime.is_some();
        message.mime = blob.mime.unwrap_or_default().into();
        message.blob = blob.bytes.into();
    }
}

pub fn blob_from_abi(message: &mut Message) -> Option<wit::LazyLoadBlob> {
    message.has_blob.then(|| wit::LazyLoadBlob {
        mime: message.has_mime.then(|| message.mime.take_text()),
        bytes: message.blob.take_bytes(),
    })
}

fn context_from_abi(message: &mut Message) -> Option<Vec<u8>> {
    message.has_context.then(|| message.context.take_bytes())
}

fn request_from_abi(message: &mut Message) -> wit::Request {
    wit::Request {
        inherit: message.inherit,
        expects_response: message.has_expects.then_some(message.expects_s),
        body: message.body.take_bytes(),
        metadata: message.has_metadata.then(|| message.metadata.take_text()),
        capabilities: caps_from_abi(&mut message.caps),
    }
}

fn message_from_abi(message: &mut Message, is_response: bool) -> wit::Message {
    let parts = request_from_abi(message);
    if !is_response {
        return wit::Message::Request(parts);
    }
    let response = wit::Response {
        inherit: parts.inherit,
        body: parts.body,
        metadata: parts.metadata,
        capabilities: parts.capabilities,
    };
    wit::Message::Response((response, context_from_abi(message)))
}

pub fn outgoing_from_abi(mut message: Message) -> Outgoing {
    let target = address_from_abi(&mut message.peer);
    let request = request_from_abi(&mut message);
    (target, request, blob_from_abi(&mut message))
}

/// What was received: a message, or one of ours that came back, with its context.
type Received = Result<(wit::Address, wit::Message), (wit::SendError, Option<Vec<u8>>)>;

#[allow(clippy::result_large_err)] // the generated interface wants it by value
pub fn received_from_abi(mut message: Message) -> Received {
    let message = &mut message;
    let kind = match message.kind {
        kind::OFFLINE => wit::SendErrorKind::Offline,
        kind::TIMEOUT => wit::SendErrorKind::Timeout,
        _ => {
            let is_response = message.kind == kind::RESPONSE;
            let source = address_from_abi(&mut message.peer);
            return Ok((source, message_from_abi(message, is_response)));
        }
    };
    let context = context_from_abi(message);
    message.has_context = false; // it is the error's, not the returned message's
    let error = wit::SendError {
        kind,
        target: address_from_abi(&mut message.peer),
        message: message_from_abi(message, message.is_response),
        lazy_load_blob: blob_from_abi(message),
    };
    Err((error, context))
}

pub fn on_exit_to_abi(on_exit: wit::OnExit) -> (u8, Array<Message>) {
    match on_exit {
        wit::OnExit::None => (0, Array::default()),
        wit::OnExit::Restart => (1, Array::default()),
        wit::OnExit::Requests(requests) => {
            (2, requests.into_iter().map(|request| request_to_abi(request, None)).collect())
        }
    }
}

pub fn on_exit_from_abi(on_exit: u8, requests: &mut Array<Message>) -> wit::OnExit {
    match on_exit {
        0 => wit::OnExit::None,
        1 => wit::OnExit::Restart,
        _ => wit::OnExit::Requests(
            requests.take_items().into_iter().map(outgoing_from_abi).collect(),
        ),
    }
}
