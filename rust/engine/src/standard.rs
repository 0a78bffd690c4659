//! The interface `standard`, function by function: every one is an operation of the host.

use crate::bindings::wit;
use crate::convert::{
    blob_from_abi, caps_from_abi, caps_to_abi, grants_to_abi, on_exit_from_abi, on_exit_to_abi,
    pid_from_abi, received_from_abi, request_to_abi, response_to_abi,
};
use thole_process::Process;
use thole_process::abi::{Array, Call, Message, Op};
use wasmtime::{Error, Result};

const SPAWN_OK: u64 = 0;
const SPAWN_NAME_TAKEN: u64 = 1;

fn with_text(text: impl Into<Vec<u8>>) -> Call {
    Call { has_text: true, text: text.into().into(), ..Call::default() }
}

fn with_message(message: Message) -> Call {
    Call { messages: [message].into_iter().collect(), ..Call::default() }
}

fn with_caps(caps: Vec<wit::Capability>) -> Call {
    Call { caps: caps_to_abi(caps), ..Call::default() }
}

fn first<T>(items: &mut Array<T>) -> Result<T> {
    items.take_first().ok_or_else(|| Error::msg("the node gave an incomplete reply"))
}

fn text_of(reply: &mut Call) -> Option<Vec<u8>> {
    reply.has_text.then(|| reply.text.take_bytes())
}

impl wit::Host for Process {
    fn print_to_terminal(&mut self, verbosity: u8, message: String) -> Result<()> {
        let args = Call { number: verbosity.into(), ..with_text(message) };
        self.seat.ask(Op::Print, args).map(drop)
    }

    fn our(&mut self) -> Result<wit::Address> {
        let [node, process, package, publisher] = self.our.clone();
        let process = wit::ProcessId {
            process_name: process,
            package_name: package,
            publisher_node: publisher,
        };
        Ok(wit::Address { node, process })
    }

    fn get_on_exit(&mut self) -> Result<wit::OnExit> {
        let mut reply = self.seat.ask(Op::GetOnExit, Call::default())?;
        Ok(on_exit_from_abi(reply.on_exit, &mut reply.messages))
    }

    async fn set_on_exit(&mut self, on_exit: wit::OnExit) -> Result<()> {
        let (on_exit, messages) = on_exit_to_abi(on_exit);
        let args = Call { on_exit, messages, ..Call::default() };
        self.seat.wait(Op::SetOnExit, args).await.map(drop)
    }

    async fn get_state(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(text_of(&mut self.seat.wait(Op::GetState, Call::default()).await?))
    }

    async fn set_state(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.seat.wait(Op::SetState, with_text(bytes)).await.map(drop)
    }

    async fn clear_state(&mut self) -> Result<()> {
        self.seat.wait(Op::ClearState, Call::default()).await.map(drop)
    }

    async fn spawn(
        &mut self,
        name: Option<String>,
        wasm_path: String,
        on_exit: wit::OnExit,
        request_capabilities: Vec<wit::Capability>,
        grant_capabilities: Vec<(wit::ProcessId, String)>,
        public: bool,
    ) -> Result<Result<wit::ProcessId, wit::SpawnError>> {
        let (on_exit, messages) = on_exit_to_abi(on_exit);
        let args = Call {
            on_exit,
            messages,
            is_public: public,
            has_text: name.is_some(),
            text: name.unwrap_or_default().into(),
            path: wasm_path.into(),
            caps: caps_to_abi(request_capabilities),
            grants: grants_to_abi(grant_capabilities),
            ..Call::default()
        };
        let mut reply = self.seat.wait(Op::Spawn, args).await?;
        Ok(match reply.number {
            SPAWN_OK => Ok(pid_from_abi(&mut first(&mut reply.caps)?.issuer)),
            SPAWN_NAME_TAKEN => Err(wit::SpawnError::NameTaken),
            _ => Err(wit::SpawnError::NoFileAtPath),
        })
    }

    async fn save_capabilities(&mut self, caps: Vec<wit::Capability>) -> Result<()> {
        self.seat.wait(Op::SaveCaps, with_caps(caps)).await.map(drop)
    }

    async fn drop_capabilities(&mut self, caps: Vec<wit::Capability>) -> Result<()> {
        self.seat.wait(Op::DropCaps, with_caps(caps)).await.map(drop)
    }

    fn our_capabilities(&mut self) -> Result<Vec<wit::Capability>> {
        Ok(caps_from_abi(&mut self.seat.ask(Op::OurCaps, Call::default())?.caps))
    }

    async fn receive(
        &mut self,
    ) -> Result<Result<(wit::Address, wit::Message), (wit::SendError, Option<Vec<u8>>)>> {
        let mut reply = self.seat.wait(Op::Receive, Call::default()).await?;
        Ok(received_from_abi(first(&mut reply.messages)?))
    }

    fn has_blob(&mut self) -> Result<bool> {
        Ok(self.seat.ask(Op::HasBlob, Call::default())?.number != 0)
    }

    fn get_blob(&mut self) -> Result<Option<wit::LazyLoadBlob>> {
        let mut reply = self.seat.ask(Op::GetBlob, Call::default())?;
        Ok(reply.messages.take_first().and_then(|mut message| blob_from_abi(&mut message)))
    }

    fn last_blob(&mut self) -> Result<Option<wit::LazyLoadBlob>> {
        let mut reply = self.seat.ask(Op::LastBlob, Call::default())?;
        Ok(reply.messages.take_first().and_then(|mut message| blob_from_abi(&mut message)))
    }

    async fn send_request(
        &mut self,
        target: wit::Address,
        request: wit::Request,
        context: Option<Vec<u8>>,
        blob: Option<wit::LazyLoadBlob>,
    ) -> Result<()> {
        let message = request_to_abi((target, request, blob), context);
        self.seat.wait(Op::SendRequests, with_message(message)).await.map(drop)
    }

    async fn send_requests(
        &mut self,
        requests: Vec<(wit::Address, wit::Request, Option<Vec<u8>>, Option<wit::LazyLoadBlob>)>,
    ) -> Result<()> {
        let messages = requests
            .into_iter()
            .map(|(target, request, context, blob)| {
                request_to_abi((target, request, blob), context)
            })
            .collect();
        self.seat.wait(Op::SendRequests, Call { messages, ..Call::default() }).await.map(drop)
    }

    async fn send_response(
        &mut self,
        response: wit::Response,
        blob: Option<wit::LazyLoadBlob>,
    ) -> Result<()> {
        let message = response_to_abi(response, blob);
        self.seat.wait(Op::SendResponse, with_message(message)).await.map(drop)
    }

    async fn send_and_await_response(
        &mut self,
        target: wit::Address,
        request: wit::Request,
        blob: Option<wit::LazyLoadBlob>,
    ) -> Result<Result<(wit::Address, wit::Message), wit::SendError>> {
        let message = request_to_abi((target, request, blob), None);
        let mut reply = self.seat.wait(Op::Await, with_message(message)).await?;
        Ok(received_from_abi(first(&mut reply.messages)?).map_err(|(error, _)| error))
    }
}
