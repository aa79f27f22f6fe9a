-- Append a batch to a run's log, or say why not; nothing in between.
--
-- KEYS  1 the log, 2 the fence
-- ARGV  1 the writer's epoch (0: the run itself), 2 the number of its first event here, 3 '1' if this writer must have
--       none of them yet, 4 the SEQ up to which a new log is leased, or 0 from a writer that takes the books at their
--       word, 5 the types and 6 the events, each with a line end after it: two long arguments are nearly free, and a
--       thousand short ones cost the client and Redis as much as all the rest
-- Gives {outcome, how many were appended, last SEQ of the log, newest epoch}; outcome is one of
--   ok        appended, but for what this writer had appended before
--   fenced    a newer attempt has written, so this one is a zombie
--   ended     this attempt's end was written, or it was settled without it, or an older attempt has done the turn
--   terminal  the run's end was written
--   hole      this writer's numbers do not follow on what it appended before
--   taken     this writer appended some of them before, and must not have
--   open      the run's end was to be written, but the newest attempt has no end yet
--
-- The fence holds: seq (last SEQ), epoch (newest), number (last of the newest epoch), lifecycle (last of the run's own
-- writer), ended (the epoch whose end was written), done (the turn that was completed last), terminal (1 when the run's
-- end was written), sealed (epochs up to this one were settled: only who writes their end, which must have all its
-- numbers new, may still write), home (the run id of the Redis that is known to have all that was said: another one, or
-- the same one started again, may not), lease (the last SEQ that may be handed out).
local ends = { turn_completed = true, turn_failed = true, turn_aborted_by_user = true }
local terminals = { run_completed = true, run_failed = true, run_cancelled = true }

local writer, first, unknown = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'

local find, sub, format, call = string.find, string.sub, string.format, redis.call

-- The lines of a text, one a call; searched as they are, as a pattern would look at every character.
local function lines(text)
  local at = 1
  return function()
    local stop = find(text, '\n', at, true)
    if not stop then return nil end
    local line = sub(text, at, stop - 1)
    at = stop + 1
    return line
  end
end

local types = {}
for type in lines(ARGV[5]) do types[#types + 1] = type end
local count = #types

local books = redis.call('HMGET', KEYS[2], 'seq', 'epoch', 'number', 'lifecycle', 'ended', 'terminal',
  'sealed', 'done', 'home', 'lease')
local function book(place) return tonumber(books[place] or '0') end
local seq, epoch, number, lifecycle, ended, terminal = book(1), book(2), book(3), book(4), book(5), book(6)
local sealed, done, home, first_lease = book(7), book(8), books[9], tonumber(ARGV[4])

local function answer(outcome, appended) return { outcome, appended, seq, epoch } end

if first_lease > 0 then
  local here = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  -- A log begins with the run's own first word: that may come to an empty Redis, whatever was lost there.
  if home ~= here and (seq > 0 or writer > 0 or first > 1) then return answer('unsure', 0) end
  home = here
end

if writer > 0 and writer < epoch then return answer('fenced', 0) end
local known = lifecycle
if writer > 0 then known = writer == epoch and number or 0 end
if unknown and first <= known then return answer('taken', 0) end
if writer > 0 and writer <= sealed and not unknown then return answer('ended', 0) end
if first + count - 1 <= known then return answer('ok', 0) end
if terminal == 1 then return answer('terminal', 0) end
if writer > 0 and writer == ended then return answer('ended', 0) end
if writer > epoch and math.floor(writer / 1000) == done then return answer('ended', 0) end
if first > known + 1 then return answer('hole', 0) end

local from = known - first + 1
for place = from + 1, count - 1 do
  local type = types[place]
  if terminals[type] then return answer('terminal', 0) end
  if writer > 0 and ends[type] then return answer('ended', 0) end
end
-- Here and not by whoever writes it, as an attempt of a worker that was frozen may begin at any moment until then.
if terminals[types[count]] and writer == 0 and epoch > ended then return answer('open', 0) end

if first_lease > 0 and seq + count - from > (tonumber(books[10]) or first_lease) then return answer('lease', 0) end

if writer > epoch then epoch = writer end
local event = lines(ARGV[6])
for _ = 1, from do event() end
local log, id = KEYS[1], '%d-' .. format('%d', epoch)
for place = from + 1, count do
  seq = seq + 1
  call('XADD', log, format(id, seq), 'type', types[place], 'event', event())
end

local last, final = first + count - 1, types[count]
if terminals[final] then terminal = 1 end
if writer > 0 and ends[final] then ended = writer end
if writer > 0 and final == 'turn_completed' then done = math.floor(writer / 1000) end
if writer > 0 then number = last else lifecycle = last end
redis.call('HSET', KEYS[2], 'seq', seq, 'epoch', epoch, 'number', number, 'lifecycle', lifecycle, 'ended', ended,
  'done', done, 'terminal', terminal, 'home', home or '')
return answer('ok', count - from)
