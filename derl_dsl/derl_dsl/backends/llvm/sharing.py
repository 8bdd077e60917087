"""Threads that share the blocks of one batch, as LLVM IR: no Python between one part and the next.

    derl_lead(team) -> 1   opens the job, takes parts until none is left, waits for the others;
                           0 where a check did not hold
    derl_help(team, k)     thread k: takes parts of every job that is opened, until `stop` is set;
                           it sleeps when none was for `LOOKS` looks
    derl_wake(team)        wakes those who sleep

`team` is an array of 64-bit fields. `next` is the number of the job and, in its lower half, the
part that is taken next: a part is taken by exchanging it for its successor, so that nobody takes
one of a job that it has not seen. `inside` counts the threads that look at a job; the leader closes
it (the part becomes `CLOSED`) and waits until nobody is inside before anything of it may change.
What a job is stands in `FIELDS`, and where each of its threads works in `RECORD`.

Looking for a job gives way to others each time (`sched_yield`), so a busy machine loses nothing.
`sleepers` counts those who sleep or are about to: the leader opens a job before it reads the count,
a thread looks once more, under the lock, after it was counted, so nobody sleeps through a job.
`lock` and `condition` are those of POSIX.
"""

from __future__ import annotations

from derl_dsl.backends.code import ARGS, CALL

# Far apart, so that they are not on one line of the cache.
NEXT, INSIDE, SLEEPERS, STOP, LOCK, CONDITION, FIRST = 0, 16, 32, 33, 48, 64, 80
FIELDS = ("takers", "count", "parts", "records", "blocks", "block_groups", "chunk", "bad")
SIZE = FIRST + len(FIELDS)
RECORD = ("entry", "args", "check", "call")
CLOSED = 2**31
LOOKS = 400  # some 200 µs
IMPORTS = {
    "derl_yield": "sched_yield",
    "derl_lock": "pthread_mutex_lock",
    "derl_unlock": "pthread_mutex_unlock",
    "derl_sleep": "pthread_cond_wait",
    "derl_call": "pthread_cond_broadcast",
}


def _field(name: str) -> int:
    return FIRST + FIELDS.index(name)


def write() -> str:
    """The IR of the functions."""
    loads = "\n".join(
        f"  %{name}.p = getelementptr i64, ptr %team, i64 {_field(name)}\n"
        f"  %{name} = load i64, ptr %{name}.p"
        for name in ("count", "parts", "records", "blocks", "block_groups", "chunk")
    )
    record = "\n".join(
        f"  %{name}.p = getelementptr i64, ptr %record, i64 {k}\n"
        f"  %{name} = load i64, ptr %{name}.p"
        for k, name in enumerate(RECORD)
    )

    def put(array: str, fields: tuple[str, ...], name: str, value: str) -> str:
        return (
            f"  %{name}.at = getelementptr i64, ptr %{array}, i64 {fields.index(name)}\n"
            f"  store i64 {value}, ptr %{name}.at"
        )

    return f"""
declare i32 @derl_yield()
declare i32 @derl_lock(ptr)
declare i32 @derl_unlock(ptr)
declare i32 @derl_sleep(ptr, ptr)
declare i32 @derl_call(ptr)

define void @derl_wake(ptr %team) {{
  %lock = getelementptr i64, ptr %team, i64 {LOCK}
  %condition = getelementptr i64, ptr %team, i64 {CONDITION}
  call i32 @derl_lock(ptr %lock)
  call i32 @derl_call(ptr %condition)
  call i32 @derl_unlock(ptr %lock)
  ret void
}}

define internal void @share(ptr %team, i64 %k, i64 %job) {{
begin:
  %next = getelementptr i64, ptr %team, i64 {NEXT}
  br label %look
look:
  %now = load atomic i64, ptr %next seq_cst, align 8
  %number = lshr i64 %now, 32
  %mine = icmp eq i64 %number, %job
  br i1 %mine, label %open, label %end
open:
{loads}
  %part = and i64 %now, 4294967295
  %some = icmp ult i64 %part, %count
  br i1 %some, label %take, label %end
take:
  %after = add i64 %now, 1
  %exchanged = cmpxchg ptr %next, i64 %now, i64 %after seq_cst seq_cst
  %taken = extractvalue {{ i64, i1 }} %exchanged, 1
  br i1 %taken, label %found, label %look
found:
  %all = inttoptr i64 %records to ptr
  %offset = mul i64 %k, {len(RECORD)}
  %record = getelementptr i64, ptr %all, i64 %offset
{record}
  %function = inttoptr i64 %entry to ptr
  %argument = inttoptr i64 %args to ptr
  %checked = inttoptr i64 %check to ptr
  %around = inttoptr i64 %call to ptr
  %bounds = inttoptr i64 %parts to ptr
  %at = mul i64 %part, 2
  %first.p = getelementptr i64, ptr %bounds, i64 %at
  %first = load i64, ptr %first.p
  %last.p = getelementptr i64, ptr %first.p, i64 1
  %last = load i64, ptr %last.p
  %rows = inttoptr i64 %blocks to ptr
  br label %some.blocks
some.blocks:
  %start = phi i64 [ %first, %found ], [ %stop, %fine ]
  %far = add i64 %start, %chunk
  %within = icmp ult i64 %far, %last
  %stop = select i1 %within, i64 %far, i64 %last
  %ahead = mul i64 %start, 8
  %here = add i64 %blocks, %ahead
  %here.groups = add i64 %block_groups, %ahead
  %length = sub i64 %stop, %start
{put("argument", ARGS, "blocks", "%here")}
{put("argument", ARGS, "block_groups", "%here.groups")}
{put("argument", ARGS, "block_count", "%length")}
  %unchecked = icmp eq i64 %check, 0
  br i1 %unchecked, label %alone, label %between
alone:
  call void %function(ptr %argument)
  br label %fine
between:
  %from.p = getelementptr i64, ptr %rows, i64 %start
  %from = load i64, ptr %from.p
  %to.p = getelementptr i64, ptr %rows, i64 %stop
  %to = load i64, ptr %to.p
  %height = sub i64 %to, %from
{put("around", CALL, "row0", "%from")}
{put("around", CALL, "rows", "%height")}
  %good = call i64 %checked(ptr %around)
  %holds = icmp ne i64 %good, 0
  br i1 %holds, label %fine, label %broken
broken:
  %bad.p = getelementptr i64, ptr %team, i64 {_field("bad")}
  store atomic i64 1, ptr %bad.p seq_cst, align 8
  br label %end
fine:
  %more = icmp ult i64 %stop, %last
  br i1 %more, label %some.blocks, label %look
end:
  ret void
}}

define i64 @derl_lead(ptr %team) {{
begin:
  %next = getelementptr i64, ptr %team, i64 {NEXT}
  %inside.p = getelementptr i64, ptr %team, i64 {INSIDE}
  %bad.p = getelementptr i64, ptr %team, i64 {_field("bad")}
  store atomic i64 0, ptr %bad.p seq_cst, align 8
  %before = load atomic i64, ptr %next seq_cst, align 8
  %old = lshr i64 %before, 32
  %one.more = add i64 %old, 1
  %job = and i64 %one.more, 2147483647
  %opened = shl i64 %job, 32
  store atomic i64 %opened, ptr %next seq_cst, align 8
  %sleepers.p = getelementptr i64, ptr %team, i64 {SLEEPERS}
  %sleepers = load atomic i64, ptr %sleepers.p seq_cst, align 8
  %all.awake = icmp eq i64 %sleepers, 0
  br i1 %all.awake, label %work, label %wake
wake:
  call void @derl_wake(ptr %team)
  br label %work
work:
  call void @share(ptr %team, i64 0, i64 %job)
  %closed = or i64 %opened, {CLOSED}
  store atomic i64 %closed, ptr %next seq_cst, align 8
  br label %wait
wait:
  %inside = load atomic i64, ptr %inside.p seq_cst, align 8
  %nobody = icmp eq i64 %inside, 0
  br i1 %nobody, label %done, label %give.way
give.way:
  call i32 @derl_yield()
  br label %wait
done:
  %bad = load atomic i64, ptr %bad.p seq_cst, align 8
  %good = icmp eq i64 %bad, 0
  %found = zext i1 %good to i64
  ret i64 %found
}}

define void @derl_help(ptr %team, i64 %k) {{
begin:
  %next = getelementptr i64, ptr %team, i64 {NEXT}
  %inside.p = getelementptr i64, ptr %team, i64 {INSIDE}
  %sleepers.p = getelementptr i64, ptr %team, i64 {SLEEPERS}
  %stop.p = getelementptr i64, ptr %team, i64 {STOP}
  %lock = getelementptr i64, ptr %team, i64 {LOCK}
  %condition = getelementptr i64, ptr %team, i64 {CONDITION}
  %takers.p = getelementptr i64, ptr %team, i64 {_field("takers")}
  br label %look
look:
  %seen = phi i64 [ 0, %begin ], [ %seen, %idle ], [ %job, %leave ], [ %seen, %awake ]
  %turn = phi i64 [ 0, %begin ], [ %another, %idle ], [ 0, %leave ], [ 0, %awake ]
  %now = load atomic i64, ptr %next seq_cst, align 8
  %job = lshr i64 %now, 32
  %same = icmp eq i64 %job, %seen
  br i1 %same, label %idle, label %enter
enter:
  %before = atomicrmw add ptr %inside.p, i64 1 seq_cst
  %takers = load atomic i64, ptr %takers.p seq_cst, align 8
  %wanted = icmp ult i64 %k, %takers
  br i1 %wanted, label %work, label %leave
work:
  call void @share(ptr %team, i64 %k, i64 %job)
  br label %leave
leave:
  %after = atomicrmw sub ptr %inside.p, i64 1 seq_cst
  br label %look
idle:
  call i32 @derl_yield()
  %another = add i64 %turn, 1
  %tired = icmp uge i64 %another, {LOOKS}
  br i1 %tired, label %lie.down, label %look
lie.down:
  %counted = atomicrmw add ptr %sleepers.p, i64 1 seq_cst
  call i32 @derl_lock(ptr %lock)
  br label %check
check:
  %stop = load atomic i64, ptr %stop.p seq_cst, align 8
  %ended = icmp ne i64 %stop, 0
  br i1 %ended, label %wake.up, label %news
news:
  %latest = load atomic i64, ptr %next seq_cst, align 8
  %number = lshr i64 %latest, 32
  %nothing = icmp eq i64 %number, %seen
  br i1 %nothing, label %sleep, label %wake.up
sleep:
  call i32 @derl_sleep(ptr %condition, ptr %lock)
  br label %check
wake.up:
  call i32 @derl_unlock(ptr %lock)
  %uncounted = atomicrmw sub ptr %sleepers.p, i64 1 seq_cst
  br i1 %ended, label %end, label %awake
awake:
  br label %look
end:
  ret void
}}
"""
