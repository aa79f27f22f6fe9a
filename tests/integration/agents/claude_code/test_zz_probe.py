import time, traceback
from cody.agents.base import Patience
from cody.agents.connections import Connection
from tests.integration.agents.claude_code.claude_bench import *
from fixtures.providers.scenario import load, names
async def test_login(claude):
    t0=time.time(); turn=claude.play(); t=await claude.take(turn, connection=Connection())
    print("SECS",time.time()-t0, t.result, t.heard.events)
async def test_all(claude):
    skip=("tool","tools","shell","hold","slow","thread_2")
    for n in names():
        if not n.startswith("anthropic") or any(s in n for s in ("tool","shell","hold","thread_2","bad_arg","hang_up","parallel")): continue
        sc=load(n)
        turn=Turn(ClaudeHeard(), claude.server.play(sc), Stop())
        t0=time.time()
        try: await claude.take(turn, prompt=sc.prompt, settings={"model":sc.model}, patience=Patience(answer_seconds=3,silence_seconds=3))
        except BaseException as e: print(n,"EXC",repr(e)[:300]); continue
        r=turn.result; ex=sc.expected_response
        items=turn.heard.items(); 
        exi=[{k:v for k,v in i.items()} for i in ex.items]
        got=[{k:i.get(k) for k in e} for i,e in zip(items,exi)] if len(items)==len(exi) else items
        u=r.usage.model_dump(exclude_none=True) if r.usage else None
        ok=got==exi; 
        print(("OK  " if ok and (r.error is None)==(ex.status=="complete") and (ex.error or {}).get("code")==(r.error.code if r.error else None) else "DIFF"),n,round(time.time()-t0,1),"reqs",len(turn.session.requests),"| exp",ex.status,(ex.error or {}).get("code"),(ex.error or {}).get("retryable"),ex.finish_reason,ex.usage,"| got",r.error and (r.error.code,r.error.retryable),r.finish_reason,u,"" if ok else str(items)[:200]+" EXP "+str(exi)[:200], turn.heard.warnings(), turn.heard.open_items())
