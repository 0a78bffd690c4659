%% The bench's workloads as Erlang has them: the same counts and shapes as bench/lua.
%%
%%     erl -noshell -run bench main WORKLOAD ARG...
%%
%% prints its figures, a line "NAME NUMBER" each.
-module(bench).
-export([main/1]).
-behaviour(gen_server).
-export([init/1, handle_call/3, handle_cast/2]).

main([Name | Words]) ->
    run(list_to_atom(Name), [list_to_integer(Word) || Word <- Words]),
    halt(0).

now_ns() -> erlang:monotonic_time(nanosecond).

say(Value) -> io:format("value ~w~n", [Value]).

per(Count, Play) ->
    Play(Count div 10 + 1),
    Start = now_ns(),
    Play(Count),
    say((now_ns() - Start) / Count).

%% Both processes on the scheduler given, so that a pair may be on two.
on(Scheduler, Fun) -> spawn_opt(Fun, [{scheduler, Scheduler}]).

%% A process flag of our own main process cannot be set: work in one that is bound.
bound(Fun) ->
    {Pid, Ref} = spawn_opt(Fun, [{scheduler, 1}, monitor]),
    receive {'DOWN', Ref, process, Pid, normal} -> ok end.

%% --- Ping-pong -------------------------------------------------------------------

pong(To) ->
    receive {ping, Value} -> To ! {pong, Value} end,
    pong(To).

ping(_, 0) -> ok;
ping(Pong, N) ->
    Pong ! {ping, N},
    receive {pong, _} -> ok end,
    ping(Pong, N - 1).

ping_map(_, 0) -> ok;
ping_map(Pong, N) ->
    Pong ! {ping, #{id => N, name => <<"somebody">>, price => 12.5, open => true,
                    items => [1, 2, 3, 4, 5, 6, 7, 8, 9, N]}},
    receive {pong, _} -> ok end,
    ping_map(Pong, N - 1).

asleep(_, 0, Took) -> Took;
asleep(Pong, N, Took) ->
    timer:sleep(3),
    Start = now_ns(),
    Pong ! {ping, N},
    receive {pong, _} -> ok end,
    asleep(Pong, N - 1, [now_ns() - Start | Took]).

%% --- Others -----------------------------------------------------------------------

link_of_ring(To) ->
    receive {token, Value} -> To ! {token, Value} end,
    link_of_ring(To).

turn(_, 0) -> ok;
turn(First, N) ->
    First ! {token, N},
    receive {token, _} -> ok end,
    turn(First, N - 1).

send_items(_, 0) -> ok;
send_items(To, N) ->
    To ! {item, N},
    send_items(To, N - 1).

sender(To, Each) ->
    receive go -> send_items(To, Each) end,
    sender(To, Each).

take_items(0) -> ok;
take_items(N) ->
    receive {item, _} -> ok end,
    take_items(N - 1).

spawn_exit(0) -> ok;
spawn_exit(N) ->
    {Pid, Ref} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Ref, process, Pid, _} -> ok end,
    spawn_exit(N - 1).

idle(Parent) ->
    Parent ! {up, 1},
    idle_again(Parent).

idle_again(Parent) ->
    receive {go, Value} -> Parent ! {up, Value} end,
    idle_again(Parent).

take_up(0) -> ok;
take_up(N) ->
    receive {up, _} -> ok end,
    take_up(N - 1).

call(_, 0) -> ok;
call(Server, N) ->
    N = gen_server:call(Server, N, 5000),
    call(Server, N - 1).

init(none) -> {ok, none}.
handle_call(Value, _, State) -> {reply, Value, State}.
handle_cast(_, State) -> {noreply, State}.

resident() ->
    {ok, File} = file:open("/proc/self/statm", [read, raw]),
    {ok, Text} = file:read(File, 100),
    file:close(File),
    [_, Pages | _] = string:lexemes(Text, " "),
    list_to_integer(Pages) * 4096.

%% --- Workloads ----------------------------------------------------------------------

run(pingpong, [Count]) ->
    bound(fun() ->
        Self = self(),
        Pong = on(1, fun() -> pong(Self) end),
        per(Count, fun(N) -> ping(Pong, N) end)
    end);
run(pingpong_map5, [Count]) ->
    bound(fun() ->
        Self = self(),
        Pong = on(1, fun() -> pong(Self) end),
        per(Count, fun(N) -> ping_map(Pong, N) end)
    end);
run(pingpong_cross_awake, [Count]) ->
    bound(fun() ->
        Self = self(),
        Pong = on(2, fun() -> pong(Self) end),
        per(Count, fun(N) -> ping(Pong, N) end)
    end);
run(pingpong_cross_asleep, [Count]) ->
    bound(fun() ->
        Self = self(),
        Pong = on(2, fun() -> pong(Self) end),
        Took = lists:sort(asleep(Pong, Count, [])),
        say(lists:nth(Count div 2 + 1, Took))
    end);
run(ring_1000, [Size, Rounds]) ->
    bound(fun() ->
        First = lists:foldl(fun(_, Next) -> spawn(fun() -> link_of_ring(Next) end) end,
                            self(), lists:seq(2, Size)),
        turn(First, Rounds div 10 + 1),
        Start = now_ns(),
        turn(First, Rounds),
        say((now_ns() - Start) / (Rounds * Size))
    end);
run(fanin_small, [Senders, Each]) ->
    Self = self(),
    All = [spawn(fun() -> sender(Self, Each) end) || _ <- lists:seq(1, Senders)],
    Play = fun() ->
        [Pid ! go || Pid <- All],
        take_items(Senders * Each)
    end,
    Play(),
    Start = now_ns(),
    Play(),
    say(Senders * Each * 1000 / (now_ns() - Start));
run(spawn_exit, [Count]) ->
    per(Count, fun spawn_exit/1);
run(spawn_idle, [Count]) ->
    Self = self(),
    erlang:garbage_collect(),
    io:format("before ~w~n", [resident()]),
    Start = now_ns(),
    All = [spawn(fun() -> idle(Self) end) || _ <- lists:seq(1, Count)],
    take_up(Count),
    say((now_ns() - Start) / Count),
    [Pid ! {go, 1} || Pid <- All],
    take_up(Count),
    io:format("after ~w~ncount ~w~n", [resident(), Count]);
run(timers, [Count]) ->
    Round = min(Count, 50000),
    Play = fun(N) ->
        Set = [erlang:start_timer(1, self(), fire) || _ <- lists:seq(1, N)],
        [receive {timeout, Ref, fire} -> ok end || Ref <- Set]
    end,
    Play(Round div 10 + 1),
    Start = now_ns(),
    [Play(Round) || _ <- lists:seq(1, Count div Round)],
    say((now_ns() - Start) / (Count div Round * Round));
run(call, [Count]) ->
    {ok, Server} = gen_server:start(?MODULE, none, []),
    per(Count, fun(N) -> call(Server, N) end).
