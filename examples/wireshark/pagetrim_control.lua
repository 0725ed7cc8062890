-- SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
--
-- A Wireshark dissector of pagetrim's control connection, docs/wire-format.md,
-- section 13, version 3: of one that is not encrypted (--insecure).  It stands
-- beside pagetrim.lua, which has the frames, and says how to load both.
--
-- A connection is found by the HELLO that begins it; for a capture that begins later
-- choose "Decode As ... pagetrim_control".  A message that breaks a rule of messages
-- (length, limits, sender) has an expert info; the order of messages is not judged.

local PAYLOAD_MAX = 65600
local WORD = 2 ^ 32		-- no integer: those of Lua 5.4 would wrap
local HELLO, HELLO_SZ, HELLO_MAGIC = 1, 25, 0x50544354

-- The rows of the document's table, as they stand there.
local MESSAGES = [[
| 1 | HELLO | SR | u32 magic 0x50544354; u16 version_min 1..65535; u16 version_max 1..65535; u64 capabilities; u8 role 1..2 |
| 2 | OFFER | R | u16 udp_port 1..65535; u32 mtu 1280..65535; u32 frame_sz_max 1294..65553; u32 desc_sz 1792..2^20; u16 ciphers 0..65535; u16_list queue 1..64 |
| 3 | OPEN | S | u64 transfer_id 1..2^64 - 1; u64 digest_key; addr dst_addr; u16 lane_cnt 1..64; u8 trim 0..2; u8 cipher 0..3; u8 rekey_log2 16..22; u8 resume 0..1; u32 segment_cnt 1..65536; u32 file_cnt 0..1024; str name 0..128; *with bit 3*; u8 live 0..3 |
| 4 | SEGMENT | S | u64 gfn 0..2^40 - 1; u64 sz 1..2^52; str name 0..63 |
| 5 | FILE | S | u64 sz 0..2^40; str name 1..255 |
| 6 | FILE_DATA | S | bytes data 1..65536 |
| 7 | OPENED | R | u64 session_id 1..2^64 - 1; u8 resumes 0..1; *with bit 7*; u64 rate |
| 8 | PROBE_SEEN | R | u16 lane 0..63; u64 probe 0..2^62 - 1; u32 frame_sz 1..65553; u16 queue 0..255; *with bit 1*; u64 arrived_ns |
| 9 | LANE_SET | S | u16 lane 0..63; u16 queue 0..255; u32 frame_sz 1..65553 |
| 10 | LANE_READY | R | u16 lane 0..63; u32 window 0..2^24 |
| 11 | SYNC | S | u16 lane 0..63; u64 seq_end 0..2^62 - 1 |
| 12 | ACK | R | u16 lane 0..63; u64 upto 0..2^62 - 1; u64 freed_desc 0..2^62 - 1; u32 window 0..2^24; range_array missing 0..1024; *with bit 1*; u64 placed_upto 0..2^62 - 1; u64 arrived_sz; u64 arrived_ns; u64 top 0..2^62 - 1; u64 top_ns |
| 13 | REPROBE | R | u16 lane 0..63 |
| 14 | DIGESTS | S | u64 region_first 0..2^32 - 1; u64_array digest 1..4096 |
| 15 | VERIFY | S | u64_list sent 1..64 |
| 16 | VERIFIED | R | |
| 17 | MISMATCH | R | u64 region 0..2^32 - 1; u64_array digest 1..512 |
| 18 | COMMIT | S | u64 transfer_id 1..2^64 - 1 |
| 19 | COMMITTED | R | u64 transfer_id 1..2^64 - 1 |
| 20 | ASK | S | u64 transfer_id 1..2^64 - 1 |
| 21 | LEDGER | R | ledger counts |
| 22 | ABORT | SR | u16 exit 1..6; str text 0..400 |
| 23 | PING | SR | u64 time_ns |
| 24 | PONG | SR | u64 time_ns |
| 25 | BYE | SR | |
| 26 | HELD | R | u64 region_first 0..2^32 - 1; u64_array digest 0..4096 |
| 27 | WORKING | SR | u8 on 1..2; u64 done_sz |
| 28 | REFUSED | R | u16 lane 0..63; u64_array page 1..1024 |
| 31 | PAGES_WANTED | R | range_array page 1..1024 |
| 32 | GUEST | S | bytes description 1..65536 |
| 33 | STATE | SR | bytes data 0..65536 |
| 34 | LARGE | S | u8 known 0..1; range_array page 0..1024 |
| 35 | PAGES_LACKING | SR | range_array page 0..1024 |
| 36 | PAGES_READY | R | |
| 37 | HAND_OVER | S | u64 transfer_id 1..2^64 - 1; u64 guest_id 1..2^64 - 1 |
| 38 | HANDED_OVER | R | u64 transfer_id 1..2^64 - 1 |
| 39 | REST | S | u64 guest_id 1..2^64 - 1 |
]]
-- The counters of LEDGER, as the document lists them.
local LEDGER = [[
received, accepted, duplicate, late, missing,
refused_auth, refused_record, refused_window, refused_unit, placed, stale, refused_version,
records, probes, steered, xdp_dropped, socket_dropped, queue_unaccounted
]]

local control = Proto("pagetrim_control", "Pagetrim Control")
local fields = {}		-- ProtoField by its filter name
local messages = {}		-- type: name, by, parts

-- field_of MAKE PATH NAME BASE: a ProtoField of this filter name.
local function field_of(make, path, name, ...)
	local filter = "pagetrim_control." .. path .. "." .. name

	fields[filter] = fields[filter] or make(filter, name, ...)
	return fields[filter]
end

-- limit_of TEXT: a limit as the document writes it: a number, 2^N or 2^N - 1.  The
-- last has its N, since a double does not hold all of it.
local function limit_of(text)
	local power = text:match("^2^(%d+) %- 1$")

	if power then
		return nil, tonumber(power)
	end
	power = text:match("^2^(%d+)$")
	return power and 2 ^ tonumber(power) or tonumber(text)
end

local NUMBERS = { u8 = 1, u16 = 2, u32 = 4, u64 = 8 }
local MAKERS = { [1] = ProtoField.uint8, [2] = ProtoField.uint16,
		 [4] = ProtoField.uint32, [8] = ProtoField.uint64 }

-- part_of TEXT PATH: a field of a message from its words in the table.
local function part_of(text, path)
	local kind, name, least, most = text:match("^(%S+) (%S+) ?(.-)%.%.(.+)$")
	local part, size, shown

	if not kind then
		kind, name = text:match("^(%S+) (%S+)")
	end
	if name == "magic" then		-- has one value
		least, most = nil, nil
	end
	part = { kind = kind, name = name, least = least and tonumber(least) }
	if most then
		part.most, part.power = limit_of(most)
	end
	shown = (name:find("_id$") or name:find("digest") or name == "magic" or
		 name == "capabilities" or name == "page" or name == "gfn")
		and base.HEX or base.DEC
	size = NUMBERS[kind] or NUMBERS[kind:match("^(u%d+)_")]
	if size then
		part.size = size
		part.field = field_of(MAKERS[size], path, name, shown)
	elseif kind == "addr" then
		part.field = field_of(ProtoField.ipv6, path, name)
	elseif kind == "str" then
		part.field = field_of(ProtoField.string, path, name)
	elseif kind == "bytes" then
		part.field = field_of(ProtoField.bytes, path, name)
	elseif kind == "range_array" then
		part.field = field_of(ProtoField.uint64, path, name .. ".first")
		part.cnt = field_of(ProtoField.uint32, path, name .. ".cnt")
	elseif kind == "ledger" then
		part.counters = {}
		for counter in LEDGER:gmatch("[%l_]+") do
			table.insert(part.counters,
				field_of(ProtoField.uint64, path, counter))
		end
	end
	return part
end

local NAMES = {}
for number, name, by, list in
    MESSAGES:gmatch("| (%d+) | ([%u_]+) | (%u+) | ([^|\n]*)|") do
	local message = { name = name, by = by, parts = {} }
	local bit

	for text in list:gmatch("[^;]+") do
		text = text:match("^%s*(.-)%s*$")
		if text:find("^%*with bit") then
			bit = tonumber(text:match("%d+"))
		elseif text ~= "" then
			local part = part_of(text, name:lower())

			part.bit = bit
			table.insert(message.parts, part)
		end
	end
	messages[tonumber(number)], NAMES[tonumber(number)] = message, name
end

local payload_sz = ProtoField.uint32("pagetrim_control.payload_sz", "Payload, bytes")
local kind = ProtoField.uint16("pagetrim_control.type", "Type", base.DEC, NAMES)
local payload = ProtoField.bytes("pagetrim_control.payload", "Payload")
local list = { payload_sz, kind, payload }
for _, field in pairs(fields) do
	table.insert(list, field)
end
control.fields = list

local wrong = ProtoExpert.new("pagetrim_control.wrong", "Breaks a rule of messages",
	expert.group.PROTOCOL, expert.severity.ERROR)
control.experts = { wrong }

-- HELLOs by TCP stream: of each sending port the role and the capabilities.
local hellos = {}
function control.init()
	hellos = {}
end
local stream_of = Field.new("tcp.stream")

-- has_bit STREAM BIT: whether both ends said this capability; nil if not both HELLOs
-- were captured.
local function has_bit(stream, bit)
	local said, cnt = true, 0

	for _, hello in pairs(hellos[stream] or {}) do
		local word = hello.capabilities

		cnt = cnt + 1
		said = said and (word - word % 2 ^ bit) / 2 ^ bit % 2 == 1
	end
	if cnt < 2 then
		return nil
	end
	return said
end

-- A reader goes through a payload.
local function left(reader)
	return reader.tvb:len() - reader.off
end

local function take(reader, size)
	local range

	if left(reader) < size then
		reader.fault = reader.fault or "ends before its last field"
		return nil
	elseif size == 0 then
		return nil
	end
	range = reader.tvb(reader.off, size)
	reader.off = reader.off + size
	return range
end

-- check PART HIGH LOW: a number, or a count, against the part's limits.
local function check(reader, part, high, low)
	local value = high * WORD + low
	local fault = part.least and value < part.least or
		      part.most and value > part.most or
		      part.power and part.power > 32 and
		      high >= 2 ^ (part.power - 32) or
		      part.power and part.power <= 32 and value >= 2 ^ part.power

	if fault then
		reader.fault = reader.fault or part.name .. " is outside its limits"
	end
end

-- read_cnt: the count in front of items or bytes, of size bytes; nil if it is wrong.
local function read_cnt(reader, part, size)
	local range = take(reader, size)

	if range then
		check(reader, part, 0, range:uint())
	end
	return range and not reader.fault and range:uint() or nil
end

local READ = {}

function READ.number(reader, part, tree)
	local range = take(reader, part.size)

	if not range then
		return
	end
	tree:add(part.field, range)
	if part.size == 8 then
		check(reader, part, range(0, 4):uint(), range(4, 4):uint())
	else
		check(reader, part, 0, range:uint())
	end
	if part.name == "magic" and range:uint() ~= HELLO_MAGIC then
		reader.fault = reader.fault or "magic"
	end
end

function READ.items(reader, part, tree)
	for _ = 1, read_cnt(reader, part, 4) or 0 do
		local range = take(reader, part.size)

		if not range then
			return
		end
		tree:add(part.field, range)
	end
end

function READ.range_array(reader, part, tree)
	for _ = 1, read_cnt(reader, part, 4) or 0 do
		local range = take(reader, 12)

		if not range then
			return
		end
		tree:add(part.field, range(0, 8))
		tree:add(part.cnt, range(8, 4))
		if range(8, 4):uint() == 0 then
			reader.fault = reader.fault or "a range of none"
		end
	end
end

function READ.addr(reader, part, tree)
	local range = take(reader, 16)

	if range then
		tree:add(part.field, range)
	end
end

-- A text or bytes; of none there is nothing to show.
function READ.str(reader, part, tree)
	local range = take(reader, read_cnt(reader, part, 2) or 0)

	if range then
		tree:add(part.field, range, range:string(ENC_UTF_8))
	end
end

function READ.bytes(reader, part, tree)
	local range = take(reader, read_cnt(reader, part, 4) or 0)

	if range then
		tree:add(part.field, range)
	end
end

function READ.ledger(reader, part, tree)
	for _, counter in ipairs(part.counters) do
		local range = take(reader, 8)

		if not range then
			return
		end
		tree:add(counter, range)
	end
end

local function reader_of(part)
	if NUMBERS[part.kind] then
		return READ.number
	end
	return part.size and READ.items or READ[part.kind]
end

-- note_hello keeps what a HELLO of the right size says.
local function note_hello(tvb, pinfo, stream)
	if tvb:len() >= HELLO_SZ then
		hellos[stream] = hellos[stream] or {}
		hellos[stream][pinfo.src_port] = {
			-- Bits 32 and above have no meaning yet.
			capabilities = tvb(20, 4):uint(),
			role = tvb(24, 1):uint(),
		}
	end
end

-- fault_of_frame: what of a message is wrong beside its fields.
local function fault_of_frame(tvb, pinfo, stream, message)
	local hello = (hellos[stream] or {})[pinfo.src_port]

	if tvb(0, 4):uint() > PAYLOAD_MAX then
		return "payload_sz is too large"
	elseif tvb(6, 2):uint() ~= 0 then
		return "bytes 6 and 7 are not zero"
	elseif not message then
		return "no such type"
	elseif hello and not message.by:find(hello.role == 1 and "S" or "R") then
		return message.name .. " is not for this end to send"
	end
	return nil
end

local function dissect_fields(reader, item, message, stream)
	for _, part in ipairs(message.parts) do
		local is_there = true

		if part.bit then
			is_there = has_bit(stream, part.bit)
			if is_there == nil then	-- as the payload has them
				is_there = left(reader) > 0
			end
		end
		if is_there then
			reader_of(part)(reader, part, item)
		end
		if reader.fault then
			return
		end
	end
	if left(reader) > 0 and message.name ~= "HELLO" then
		reader.fault = "goes on behind its last field"
	end
end

local function dissect_message(tvb, pinfo, tree)
	local number, stream = tvb(4, 2):uint(), stream_of()()
	local message = messages[number]
	local item = tree:add(control, tvb())
	local fault

	if number == HELLO then
		note_hello(tvb, pinfo, stream)
	end
	fault = fault_of_frame(tvb, pinfo, stream, message)
	item:append_text(": " .. (message and message.name or "type " .. number))
	item:add(payload_sz, tvb(0, 4))
	item:add(kind, tvb(4, 2))
	if message and not fault then
		local reader = { tvb = tvb, off = 8 }

		dissect_fields(reader, item, message, stream)
		fault = reader.fault
	elseif tvb:len() > 8 then
		item:add(payload, tvb(8))
	end
	if fault then
		item:add_proto_expert_info(wrong, fault)
	end
	pinfo.cols.info:append((message and message.name or "?") .. " ")
	return tvb:len()
end

-- message_sz: of one that is too large, what is there, since no more may come.
local function message_sz(tvb, _, off)
	local size = tvb(off, 4):uint()

	return size > PAYLOAD_MAX and tvb:len() - off or 8 + size
end

function control.dissector(tvb, pinfo, tree)
	pinfo.cols.protocol = "pagetrim_control"
	pinfo.cols.info = ""
	dissect_tcp_pdus(tvb, tree, 8, message_sz, dissect_message)
	return tvb:len()
end

DissectorTable.get("tcp.port"):add_for_decode_as(control)
control:register_heuristic("tcp", function(tvb, pinfo, tree)
	if tvb:len() < HELLO_SZ or tvb(4, 2):uint() ~= HELLO or
	   tvb(8, 4):uint() ~= HELLO_MAGIC then
		return false
	end
	pinfo.conversation = control
	control.dissector(tvb, pinfo, tree)
	return true
end)
