/*
 * How units are given out, by two lanes and whatever settles the orders, for Spin. README.md says what is left out.
 *
 * Two shards; ann asks for 1 unit at both lanes with one key (a retry in another process), ben for 2, and with a second key
 * for 1 more, which his limit of 2 forbids while the first order is live; cat asks for 1.
 * Each commit is one atomic step that ends in check(). BREAK_* take one safeguard away each.
 */

#ifndef STOCK0
#define STOCK0 1
#endif
#ifndef STOCK1
#define STOCK1 1
#endif
#ifndef RESTOCK
#define RESTOCK 0
#endif
#ifndef WAITLIST
#define WAITLIST 2
#endif
#ifndef FAILURES
#define FAILURES 2
#endif

#ifndef LOSES_ANSWER
#define LOSES_ANSWER 1
#endif

#define LIMIT 2
#define ORDERS 4
#define ANN 0
#define BEN 1
#define MORE 2
#define CAT 3
#define units(r) ((r) == BEN -> 2 : 1)
#define customer(r) ((r) == ANN -> 0 : ((r) == CAT -> 2 : 1))

mtype = { NONE, PENDING, PLACED, WAITLISTED, ENDED };

/* StockShards: a shard's version is also the key of its newest row of StockLedger. */
short allocated[2], available[2], waiting[2];
byte version[2];
short stock = STOCK0 + STOCK1;

/* Orders, by request: the order's id follows from customer and key. place is the queue position, 0 when not waiting. */
mtype status[ORDERS] = NONE;
byte home_of[ORDERS], place[ORDERS], made[ORDERS];
byte last_place = 0;

/* Stands for the locks on a customer's orders: whoever read them and commits after a change of theirs is aborted. */
byte orders_changed[3];

/* Scratch of one step; no part of the state. */
hidden short on_offer, moved;
hidden byte p, pass, blocked;

byte lanes_done = 0, failures = 0;
bool answer_lost = !LOSES_ANSWER;

#define total_available (available[0] + available[1])
#define held(r) (status[r] == PENDING || status[r] == PLACED)
#define held_at(r, s) ((held(r) && home_of[r] == s) -> units(r) : 0)
#define waits_at(r, s) ((status[r] == WAITLISTED && home_of[r] == s) -> 1 : 0)
#define live(r) ((held(r) || status[r] == WAITLISTED) -> units(r) : 0)
#define live_units(c) (c == 0 -> live(ANN) : (c == 1 -> live(BEN) + live(MORE) : live(CAT)))
#define fits(r) (status[r] == WAITLISTED && units(r) <= total_available)
#define sold ((status[ANN] == PLACED) + 2 * (status[BEN] == PLACED) + (status[MORE] == PLACED) + (status[CAT] == PLACED))
#define settled (lanes_done == 2 && status[ANN] != PENDING && status[BEN] != PENDING && \
                 status[MORE] != PENDING && status[CAT] != PENDING)
#define all_sold (sold == stock)

/* What is no longer needed is forgotten, so that states that differ in nothing else are one. */
inline forget_view() {
    has_view = false;
    v_version = 0;
    v_allocated = 0;
    v_available = 0;
    v_waiting = 0
}

inline forget_reads() {
    orders_seen = 0;
    live_then = 0;
    known = false;
    seen[0] = 0;
    seen[1] = 0
}

inline check_shard(s) {
    assert(0 <= available[s] && available[s] <= allocated[s]);                                /* 1: never oversold */
    assert(allocated[s] - available[s] == held_at(0, s) + held_at(1, s) + held_at(2, s) + held_at(3, s));
    assert(waiting[s] == waits_at(0, s) + waits_at(1, s) + waits_at(2, s) + waits_at(3, s))
}

inline check() {
    assert(allocated[0] + allocated[1] == stock);
    check_shard(0);
    check_shard(1);
    assert(!fits(ANN) && !fits(BEN) && !fits(MORE) && !fits(CAT));                            /* 2: never undersold */
    assert(made[ANN] <= 1 && made[BEN] <= 1 && made[MORE] <= 1 && made[CAT] <= 1);            /* 4: same key, same order */
    assert(live_units(0) <= LIMIT && live_units(1) <= LIMIT && live_units(2) <= LIMIT)        /* 5: the limit */
}

/* StockBook.gather and hold: take over what the home shard lacks, half of what the other has along; then take the units. */
inline take_over(s, u) {
    if
    :: available[s] < u ->
        moved = (u - available[s] > available[1 - s] / 2 -> u - available[s] : available[1 - s] / 2);
        allocated[1 - s] = allocated[1 - s] - moved;
        available[1 - s] = available[1 - s] - moved;
        version[1 - s]++;
        allocated[s] = allocated[s] + moved;
        available[s] = available[s] + moved
    :: else
    fi;
    available[s] = available[s] - u
}

inline record(r, s, as) {
    status[r] = as;
    home_of[r] = s;
    made[r]++;
    orders_changed[customer(r)]++
}

/* promotion.promote, of one waiting order: served if it fits, passed over if not. */
inline serve(r) {
    if
    :: units(r) <= total_available ->
        take_over(home_of[r], units(r));
        waiting[home_of[r]]--;
        version[home_of[r]]++;
        status[r] = PENDING;
        orders_changed[customer(r)]++
    :: else
#ifdef BREAK_HEAD_BLOCKS
        -> blocked = 1
#endif
    fi
}

#define is_next(r, p) (status[r] == WAITLISTED && place[r] == p)
#ifdef BREAK_PROMOTE_BY_SHARD
#define in_this_pass(r) (home_of[r] == pass)
#define PASSES 2
#else
#define in_this_pass(r) true
#define PASSES 1
#endif

inline promote() {
    pass = 0;
    blocked = 0;
    do
    :: pass < PASSES ->
        p = 1;
        do
        :: p <= last_place && !blocked ->
            if
            :: is_next(ANN, p) && in_this_pass(ANN) -> serve(ANN)
            :: is_next(BEN, p) && in_this_pass(BEN) -> serve(BEN)
            :: is_next(MORE, p) && in_this_pass(MORE) -> serve(MORE)
            :: is_next(CAT, p) && in_this_pass(CAT) -> serve(CAT)
            :: else
            fi;
            p++
        :: else -> break
        od;
        pass++
    :: else -> break
    od
}

/* 3: whoever still waits found too little when all before them had been served. on_offer: the units on offer before. */
inline check_turn(r) {
    if
    :: place[r] == p && status[r] == WAITLISTED -> assert(units(r) > on_offer)
    :: place[r] == p && status[r] != WAITLISTED -> on_offer = on_offer - units(r); place[r] = 0
    :: else
    fi
}

inline check_line() {
    p = 1;
    do
    :: p <= last_place -> check_turn(ANN); check_turn(BEN); check_turn(MORE); check_turn(CAT); p++
    :: else -> break
    od
}

/* What settle_batch and restock_step do once units are free; all that they read, they read under lock: one step. */
inline share_out() {
#ifndef BREAK_PROMOTE_LATER
    on_offer = total_available;
    promote();
    check_line();
#endif
    check()
}

/* 3: nobody waits or is refused while any shard has stock for them. A refusal leaves no trace. */
inline say_no(r, s) {
    assert(units(r) > total_available);
    if
    :: waiting[0] + waiting[1] < WAITLIST ->
        waiting[s]++;
        version[s]++;
        last_place++;
        place[r] = last_place;
        record(r, s, WAITLISTED);
        check();
        goto committed
    :: else -> goto answered
    fi
}

/* lane.Lane and place_batch. The view is what the lane remembers of its home shard: no part of its transaction. */
proctype Lane(byte me) {
    bool todo[ORDERS], has_view = true;
    short v_allocated = allocated[me], v_available = available[me], v_waiting = waiting[me];
    byte v_version = version[me], seen[2], orders_seen, r = 0;
    short live_then;
    bool known;

    todo[ANN] = true;
    if
    :: me == 0 -> todo[BEN] = true
    :: else -> todo[MORE] = true; todo[CAT] = true
    fi;

next:
    if
    :: todo[ANN] -> r = ANN
    :: todo[BEN] -> r = BEN
    :: todo[MORE] -> r = MORE
    :: todo[CAT] -> r = CAT
    :: else -> lanes_done++; goto done
    fi;

again: /* orders_of_customers: this customer's orders, under lock */
    atomic {
        orders_seen = orders_changed[customer(r)];
        live_then = live_units(customer(r));
#ifdef BREAK_NEW_ORDER_PER_TRY
        known = false
#else
        known = status[r] != NONE
#endif
    }
    if
    :: known -> assert(made[r] == 1); goto answered
#ifdef BREAK_NO_FROM_MEMORY
    :: atomic { !known && has_view && v_available < units(r) -> say_no(r, me) }
#endif
    :: !known && has_view && v_available >= units(r) && live_then + units(r) <= LIMIT -> goto quick
    :: else -> goto slow
    fi;

quick: /* commit of what was decided from memory */
    atomic {
        if
#ifndef BREAK_UNLOCKED_CUSTOMER
        :: orders_changed[customer(r)] != orders_seen -> goto again
#endif
#ifndef BREAK_NO_GUARD
        :: version[me] != v_version -> forget_view(); goto again /* the ledger has this version: ALREADY_EXISTS */
#endif
        :: else
        fi;
        allocated[me] = v_allocated;
        available[me] = v_available - units(r);
        waiting[me] = v_waiting;
        version[me]++;
        record(r, me, PENDING);
        check();
        goto committed
    }

slow: /* read_shards: all the shards, under lock */
    atomic {
        seen[0] = version[0];
        seen[1] = version[1]
    }
    atomic {
        if
        :: orders_changed[customer(r)] != orders_seen || version[0] != seen[0] || version[1] != seen[1] -> goto again
        :: else
        fi;
        if
        :: live_then + units(r) > LIMIT -> goto answered
#ifdef BREAK_NO_STEALING
        :: live_then + units(r) <= LIMIT && available[me] >= units(r) ->
#else
        :: live_then + units(r) <= LIMIT && total_available >= units(r) ->
#endif
            take_over(me, units(r));
            version[me]++;
            record(r, me, PENDING);
            check();
            goto committed
        :: else -> say_no(r, me)
        fi
    }

committed: /* the answer of a commit may be lost: then the same again, with everything read anew */
    atomic {
        forget_reads();
        if
        :: !answer_lost -> answer_lost = true; forget_view(); goto again
        :: true -> has_view = true; v_version = version[me]; v_allocated = allocated[me];
                   v_available = available[me]; v_waiting = waiting[me]
        fi
    }

answered:
    atomic {
        todo[r] = false;
        forget_reads();
        r = 0;
        goto next
    }

done:
    skip
}

/* Whatever ends a hold or a wait: payment, decline, deadline, cancel. Each is one settle_batch. */
proctype Outcome(byte r) {
end:
    do
    :: atomic { status[r] == PENDING -> status[r] = PLACED; orders_changed[customer(r)]++; check() }; break
    :: atomic {
        status[r] == PENDING && failures < FAILURES ->
        failures++;
        status[r] = ENDED;
        orders_changed[customer(r)]++;
        available[home_of[r]] = available[home_of[r]] + units(r);
        version[home_of[r]]++;
        share_out()
       }; break
    :: atomic {
        status[r] == WAITLISTED && failures < FAILURES ->
        failures++;
        status[r] = ENDED;
        place[r] = 0;
        orders_changed[customer(r)]++;
        waiting[home_of[r]]--;
        version[home_of[r]]++;
        check()
       }; break
#ifdef BREAK_NO_DEADLINE
    :: status[r] == PENDING -> break /* the payment never answers, and nobody minds */
#endif
    od
}

/* restock_step: new units serve the waitlist; what nobody waits for is spread over the shards (here: goes to shard 1). */
proctype Restock() {
    atomic {
        stock = stock + RESTOCK;
        allocated[1] = allocated[1] + RESTOCK;
        available[1] = available[1] + RESTOCK;
        version[1]++;
#ifdef BREAK_RESTOCK_FOR_NEWCOMERS
        check()
#else
        share_out()
#endif
    }
}

#ifdef LIVENESS
/* Time goes on when all else has stopped, so that what has stopped too early is seen. */
active proctype Time() {
    bit tick;

    do
    :: tick = 1 - tick
    od
}
#endif

init {
    atomic {
        allocated[0] = STOCK0; available[0] = STOCK0;
        allocated[1] = STOCK1; available[1] = STOCK1;
        version[0] = 1; version[1] = 1;
        run Lane(0);
        run Lane(1);
        run Outcome(ANN);
        run Outcome(BEN);
        run Outcome(MORE);
        run Outcome(CAT);
        if
        :: RESTOCK > 0 -> run Restock()
        :: else
        fi
    }
}

ltl everything_settles { <>[] (settled) }
ltl everything_is_sold { <>[] (settled && all_sold) }
