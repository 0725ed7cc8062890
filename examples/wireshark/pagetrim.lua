-- SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
--
-- A Wireshark dissector of pagetrim's wire format, version 3: frames over UDP, and
-- the messages of a control connection that is not encrypted (--insecure).
--
--     tshark -X lua_script:pagetrim.lua -r FILE
--     mkdir -p ~/.local/lib/wireshark/plugins && cp pagetrim.lua $_
--
-- It follows docs/wire-format.md, and comments name its sections.  Wireshark 4.0
-- (Lua 5.2) and newer.  As root tshark runs no scripts: run it as another user.
--
-- Frames are found on UDP port 16644, and elsewhere by their magic; a control
-- connection by its HELLO, else by "Decode As".  pagetrim.verdict is the verdict of
-- rules 1, 2, 4 to 13, 19 and 20 (section 10), which need the frame alone.  Neither
-- checksums nor tags are checked, and nothing is decrypted or decompressed.

local PORT = 16644
local BLOCK, HEADER, RECORD, RECORDS_MAX = 64, 64, 16, 96
local WORD = 4294967296		-- 2^32, an integer
local GFN_CNT = 256 * WORD
local KINDS = { [1] = "data", [2] = "probe" }
local METHODS = { [0] = "none", [1] = "LZ4", [2] = "zstd" }
local RECORDS = { [1] = "blocks", [2] = "zeroes", [3] = "delta", [4] = "copy",
	[5] = "unreadable" }

local frames = Proto("pagetrim", "Pagetrim Frame")

local header = {
	magic = ProtoField.uint32("pagetrim.magic", "Magic", base.HEX),
	version = ProtoField.uint8("pagetrim.version", "Version"),
	kind = ProtoField.uint8("pagetrim.kind", "Kind", base.DEC, KINDS),
	flags = ProtoField.uint8("pagetrim.flags", "Flags", base.HEX),
	sealed = ProtoField.bool("pagetrim.sealed", "Sealed", 8, nil, 1),
	lane = ProtoField.uint8("pagetrim.lane", "Lane"),
	session = ProtoField.uint64("pagetrim.session_id", "Session", base.HEX),
	seq = ProtoField.uint64("pagetrim.seq", "Sequence number"),
	key_epoch = ProtoField.uint16("pagetrim.key_epoch", "Key epoch"),
	payload_sz = ProtoField.uint16("pagetrim.payload_sz", "UDP payload, bytes"),
	header_mac = ProtoField.uint64("pagetrim.header_mac", "Header MAC", base.HEX),
	auth = ProtoField.bytes("pagetrim.auth", "Checksum or tag"),
	generation = ProtoField.uint32("pagetrim.generation", "Generation"),
	record_cnt = ProtoField.uint8("pagetrim.record_cnt", "Records"),
	compression = ProtoField.uint8("pagetrim.compression", "Compression",
		base.DEC, METHODS),
	data_off = ProtoField.uint16("pagetrim.data_off", "Offset of the blocks"),
	block_cnt = ProtoField.uint16("pagetrim.block_cnt", "Blocks"),
	compressed_sz = ProtoField.uint16("pagetrim.compressed_sz",
		"Compressed unit, bytes"),
}
local body = {
	verdict = ProtoField.string("pagetrim.verdict", "Verdict"),
	sealed = ProtoField.bytes("pagetrim.contents", "Encrypted contents"),
	pad = ProtoField.bytes("pagetrim.pad", "Pad"),
	record = ProtoField.bytes("pagetrim.record", "Record"),
	blocks = ProtoField.bytes("pagetrim.blocks", "Blocks"),
	probe = ProtoField.bytes("pagetrim.probe_blocks", "Blocks of a probe"),
	unit = ProtoField.bytes("pagetrim.unit", "Compressed unit"),
	unit_end = ProtoField.bytes("pagetrim.unit_end", "Behind the unit"),
	decompressed_sz = ProtoField.uint32("pagetrim.decompressed_sz",
		"Decompressed unit, bytes"),
}
local record = {
	kind = ProtoField.uint8("pagetrim.record.kind", "Kind", base.DEC, RECORDS),
	first = ProtoField.uint8("pagetrim.record.first", "First block"),
	last = ProtoField.uint8("pagetrim.record.last", "Last block"),
	gfn = ProtoField.uint64("pagetrim.record.gfn", "Page", base.HEX),
	mask = ProtoField.uint64("pagetrim.record.mask", "Mask", base.HEX),
	block_cnt = ProtoField.uint8("pagetrim.record.block_cnt", "Blocks"),
	page_cnt = ProtoField.uint32("pagetrim.record.page_cnt", "Pages"),
	original = ProtoField.uint64("pagetrim.record.original", "Original", base.HEX),
	version = ProtoField.uint32("pagetrim.record.version",
		"Version of the original, low 24 bits"),
	base_low = ProtoField.uint16("pagetrim.record.base_low",
		"Version of the base, low 16 bits"),
	base = ProtoField.uint32("pagetrim.record.base", "Version of the base"),
}

-- all LIST...: the ProtoFields of these tables.
local function all(...)
	local fields = {}

	for _, list in ipairs({ ... }) do
		for _, field in pairs(list) do
			fields[#fields + 1] = field
		end
	end
	return fields
end
frames.fields = all(header, body, record)

-- One for each verdict that a frame alone can have, but for steered.
local broken = {
	passed = ProtoExpert.new("pagetrim.passed", "Not for a receiver of pagetrim",
		expert.group.PROTOCOL, expert.severity.NOTE),
}
for _, name in ipairs({ "truncated", "bad_magic", "bad_version", "bad_header",
			"bad_record" }) do
	broken[name] = ProtoExpert.new("pagetrim." .. name, "Dropped: " .. name,
		expert.group.PROTOCOL, expert.severity.ERROR)
end
local cut = ProtoExpert.new("pagetrim.cut", "Captured in part",
	expert.group.UNDECODED, expert.severity.NOTE)
local unseen = { cut = cut }
for name, info in pairs(broken) do
	unseen[name] = info
end
frames.experts = unseen

local outer = {}
for _, name in ipairs({ "eth.type", "vlan.etype", "ieee8021ad.id", "ip.hdr_len",
			"ip.len", "ip.flags.mf", "ip.frag_offset", "ipv6.nxt",
			"ipv6.plen", "ipv6.dst", "udp.length" }) do
	outer[name] = Field.new(name)
end

-- last NAME: the innermost value of a field, as a number; nil if there is none.
local function last(name)
	local infos = { outer[name]() }
	local info = infos[#infos]

	return info and tonumber(tostring(info()))
end

-- A judgement keeps the first rule that a frame breaks.
local function break_rule(judgement, verdict, why)
	if not judgement.verdict then
		judgement.verdict, judgement.why = verdict, why
	end
	return false
end

-- judge_outer: rules 1, 2 and 4, as far as UDP's dissector leaves them open.  Sets
-- ends_with_ip for rule 8.  Without an IP header (a socket's payload) none is broken.
local function judge_outer(tvb, judgement)
	local udp_sz, ip_sz = last("udp.length") or 0, nil
	local ethertype = last("vlan.etype") or last("eth.type")

	if outer["ieee8021ad.id"]() or #{ outer["vlan.etype"]() } > 1 then
		break_rule(judgement, "passed", "another tag than one of 0x8100")
	end
	if ethertype == 0x0800 and outer["ipv6.plen"]() and
	   not outer["ip.hdr_len"]() then
		break_rule(judgement, "passed", "IPv6 of type 0x0800")
	end
	if outer["ip.hdr_len"]() then
		if last("ip.hdr_len") ~= 20 then
			break_rule(judgement, "passed", "IPv4 options")
		end
		if tostring(outer["ip.flags.mf"]()()) == "true" or
		   last("ip.frag_offset") ~= 0 then
			break_rule(judgement, "passed", "a fragment")
		end
		-- Where it is 0 the field's value is the rest of the frame.
		ip_sz = select(-1, outer["ip.len"]()).range:uint() - 20
	elseif outer["ipv6.plen"]() then
		if last("ipv6.nxt") ~= 17 then
			break_rule(judgement, "passed", "IPv6 extension headers")
		end
		if tostring(outer["ipv6.dst"]()()):find("^::ffff:") then
			break_rule(judgement, "passed", "a mapped address")
		end
		ip_sz = last("ipv6.plen")
	end
	judgement.ends_with_ip = not ip_sz or udp_sz == ip_sz
	if (ip_sz and udp_sz > ip_sz) or udp_sz - 8 > tvb:reported_len() then
		break_rule(judgement, "truncated", "UDP's length")
	end
end

-- judge_header: rules 5 to 11, section 5.  True if the contents may be read.
local function judge_header(tvb, judgement)
	local size = tvb:reported_len()
	local kind, flags = tvb(5, 1):uint(), tvb(6, 1):uint()

	local function header(rule, why)
		return rule or break_rule(judgement, "bad_header", why)
	end
	if tvb(0, 4):uint() ~= 0x5054524D then
		return break_rule(judgement, "bad_magic", "not PTRM")
	end
	if tvb(4, 1):uint() ~= 3 then
		return break_rule(judgement, "bad_version", "not 3")
	end
	header(judgement.ends_with_ip, "UDP does not end where IP does")
	header(KINDS[kind], "kind")
	header(tvb(8, 4):uint() + tvb(12, 4):uint() > 0, "session_id is 0")
	header(tvb(7, 1):uint() < 64, "lane")
	header(flags <= 1, "flags")
	if flags == 0 then
		header(tvb(24, 2):uint() == 0, "key_epoch, and not sealed")
		header(tvb(28, 4):uint() + tvb(32, 4):uint() == 0,
			"header_mac, and not sealed")
	end
	if size < tvb(26, 2):uint() then
		break_rule(judgement, "truncated", "shorter than payload_sz")
	end
	header(size == tvb(26, 2):uint(), "longer than payload_sz")
	return flags == 0
end

-- judge_contents: rules 12 and 13.
local function judge_contents(tvb, judgement)
	local kind, generation = tvb(5, 1):uint(), tvb(52, 4):uint()
	local cnt, method = tvb(56, 1):uint(), tvb(57, 1):uint()
	local data_off, blocks = tvb(58, 2):uint(), tvb(60, 2):uint()
	local compressed_sz = tvb(62, 2):uint()
	local pad = data_off - HEADER - RECORD * cnt

	local function header(rule, why)
		return rule or break_rule(judgement, "bad_header", why)
	end
	if kind == 1 then
		header(cnt >= 1 and cnt <= RECORDS_MAX, "record_cnt")
		header(generation > 0, "generation is 0")
	else
		header(cnt == 0 and generation == 0 and method == 0,
			"a probe with contents")
	end
	if method == 0 then
		header(compressed_sz == 0, "compressed_sz, and not compressed")
	else
		local unused = BLOCK * blocks - compressed_sz

		header(METHODS[method], "compression")
		header(blocks > 0 and unused >= 0 and unused < BLOCK,
			"compressed_sz")
	end
	header(pad >= 0 and pad <= 63, "data_off")
	header(tvb(26, 2):uint() == data_off + BLOCK * blocks,
		"payload_sz is not data_off and the blocks")
	return not judgement.verdict
end

-- bits_of: the numbers of the bits that are set in the 8 bytes at off, ascending.
local function bits_of(tvb, off)
	local bits = {}

	for half = 0, 1 do
		local word = tvb(off + 4 - 4 * half, 4):uint()

		for bit = 0, 31 do
			if word % 2 == 1 then
				bits[#bits + 1] = 32 * half + bit
			end
			word = (word - word % 2) / 2
		end
	end
	return bits
end

-- read_record: section 6.  A record with start and end, in blocks, and the blocks
-- that travel; and the part of rule 19 that it breaks, if any.
local function read_record(tvb, off)
	local r = { off = off, kind = tvb(off, 1):uint(),
		    first = tvb(off + 1, 1):uint(), last = tvb(off + 2, 1):uint(),
		    gfn = tvb(off + 3, 1):uint() * WORD + tvb(off + 4, 4):uint(),
		    bits = {} }
	local high, low = tvb(off + 8, 4):uint(), tvb(off + 12, 4):uint()

	r.from, r.to = r.gfn * 64 + r.first, r.gfn * 64 + r.last + 1
	if not RECORDS[r.kind] then
		return r, "kind"
	elseif r.kind == 1 then
		r.bits = bits_of(tvb, off + 8)
		if r.first > r.last or r.last > 63 then
			return r, "first and last"
		end
		if #r.bits > 0 and (r.bits[1] < r.first or
				    r.bits[#r.bits] > r.last) then
			return r, "mask outside first..last"
		end
		return r
	elseif r.kind == 3 then
		r.bits = bits_of(tvb, off + 8)
		r.base_low = r.first * 256 + r.last
		r.from, r.to = r.gfn * 64, r.gfn * 64 + 64
		return r
	elseif r.first ~= 0 or r.last ~= 63 then
		return r, "first and last"
	elseif r.kind == 2 or r.kind == 5 then
		r.page_cnt = low
		r.to = (r.gfn + low) * 64
		if high > 0 or low < 1 or low > 512 or r.gfn + low > GFN_CNT then
			return r, "pages"
		end
	else
		r.version = (high - high % 256) / 256
		r.original = (high % 256) * WORD + low
		if r.original == r.gfn then
			return r, "a copy of itself"
		end
	end
	return r
end

-- show_record adds a record to the tree.
local function show_record(tree, tvb, r, generation)
	local item = tree:add(body.record, tvb(r.off, RECORD))
	local age

	item:set_text(string.format("Record: %s of page 0x%x",
		RECORDS[r.kind] or "unknown kind", r.gfn))
	item:add(record.kind, tvb(r.off, 1))
	item:add(record.first, tvb(r.off + 1, 1))
	item:add(record.last, tvb(r.off + 2, 1))
	item:add(record.gfn, tvb(r.off + 3, 5))
	item:add(record.mask, tvb(r.off + 8, 8))
	if r.kind == 1 or r.kind == 3 then
		item:add(record.block_cnt, tvb(r.off + 8, 8), #r.bits):set_generated()
	end
	if r.page_cnt then
		item:add(record.page_cnt, tvb(r.off + 12, 4))
	elseif r.original then
		item:add(record.original, tvb(r.off + 11, 5))
		item:add(record.version, tvb(r.off + 8, 3))
	elseif r.base_low then
		item:add(record.base_low, tvb(r.off + 1, 2))
		age = (generation - r.base_low) % 65536
		if age > 0 and age < generation then	-- section 12
			item:add(record.base, tvb(r.off + 1, 2),
				generation - age):set_generated()
		end
	end
end

-- show_blocks adds the blocks of each record, section 7, of a frame that is not
-- compressed.
local function show_blocks(tree, tvb, records)
	local off = tvb(58, 2):uint()

	for _, r in ipairs(records) do
		local size = BLOCK * #r.bits

		if size > 0 and off + size > tvb:captured_len() then
			return false
		elseif size > 0 then
			tree:add(body.blocks, tvb(off, size)):set_text(string.format(
				"Blocks of page 0x%x: %s", r.gfn,
				table.concat(r.bits, " ")))
		end
		off = off + size
	end
	return true
end

-- show_unit adds the compressed unit, section 7.
local function show_unit(tree, tvb, named)
	local off, size = tvb(58, 2):uint(), tvb(62, 2):uint()
	local total = BLOCK * tvb(60, 2):uint()

	if off + total > tvb:captured_len() then
		return false
	end
	tree:add(body.unit, tvb(off, size))
	if total > size then
		tree:add(body.unit_end, tvb(off + size, total - size))
	end
	tree:add(body.decompressed_sz, tvb(off, size), BLOCK * named):set_generated()
	return true
end

-- dissect_contents: a frame's contents in clear, which keep rules 12 and 13.  False
-- if they were captured in part.
local function dissect_contents(tree, tvb, judgement)
	local generation, cnt = tvb(52, 4):uint(), tvb(56, 1):uint()
	local data_off, blocks = tvb(58, 2):uint(), tvb(60, 2):uint()
	local method, named, from = tvb(57, 1):uint(), 0, 0
	local records = {}

	if data_off > tvb:captured_len() then
		return false
	end
	for i = 1, cnt do
		local r, wrong = read_record(tvb, HEADER + RECORD * (i - 1))

		if not wrong and r.from < from then
			wrong = "order"
		end
		if wrong then
			break_rule(judgement, "bad_record",
				string.format("record %d: %s", i, wrong))
		end
		records[i], from, named = r, r.to, named + #r.bits
		show_record(tree, tvb, r, generation)
	end
	if tvb(5, 1):uint() == 1 and
	   (method == 0 and named ~= blocks or method > 0 and named <= blocks) then
		break_rule(judgement, "bad_record",
			string.format("the masks name %d blocks", named))
	end
	if data_off > HEADER + RECORD * cnt then
		tree:add(body.pad, tvb(HEADER + RECORD * cnt,
			data_off - HEADER - RECORD * cnt))
	end
	if judgement.verdict then
		return true
	elseif tvb(5, 1):uint() == 2 then
		if data_off + BLOCK * blocks > tvb:captured_len() then
			return false
		elseif blocks > 0 then
			tree:add(body.probe, tvb(data_off, BLOCK * blocks))
		end
		return true
	elseif method > 0 then
		return show_unit(tree, tvb, named)
	end
	return show_blocks(tree, tvb, records)
end

-- show_header adds the frame header, as far as it is in clear.
local function show_header(tree, tvb)
	local flags

	tree:add(header.magic, tvb(0, 4))
	tree:add(header.version, tvb(4, 1))
	tree:add(header.kind, tvb(5, 1))
	flags = tree:add(header.flags, tvb(6, 1))
	flags:add(header.sealed, tvb(6, 1))
	tree:add(header.lane, tvb(7, 1))
	tree:add(header.session, tvb(8, 8))
	tree:add(header.seq, tvb(16, 8))
	tree:add(header.key_epoch, tvb(24, 2))
	tree:add(header.payload_sz, tvb(26, 2))
	tree:add(header.header_mac, tvb(28, 8))
	tree:add(header.auth, tvb(36, 16))
	if tvb(6, 1):uint() % 2 == 1 then
		tree:add(body.sealed, tvb(52))
		return
	end
	tree:add(header.generation, tvb(52, 4))
	tree:add(header.record_cnt, tvb(56, 1))
	tree:add(header.compression, tvb(57, 1))
	tree:add(header.data_off, tvb(58, 2))
	tree:add(header.block_cnt, tvb(60, 2))
	tree:add(header.compressed_sz, tvb(62, 2))
end

local function info_of(tvb)
	local text = string.format("%s lane %d seq %s",
		KINDS[tvb(5, 1):uint()] or "?", tvb(7, 1):uint(),
		tostring(tvb(16, 8):uint64()))

	if tvb(6, 1):uint() % 2 == 1 then
		return text .. " sealed"
	end
	return string.format("%s generation %d records %d blocks %d", text,
		tvb(52, 4):uint(), tvb(56, 1):uint(), tvb(60, 2):uint())
end

function frames.dissector(tvb, pinfo, tree)
	local judgement, whole = {}, true
	local item = tree:add(frames, tvb())

	pinfo.cols.protocol = "pagetrim"
	judge_outer(tvb, judgement)
	if tvb:reported_len() < HEADER then
		break_rule(judgement, "truncated", "no whole frame header")
	end
	if tvb:captured_len() >= HEADER then
		local clear = judge_header(tvb, judgement)

		show_header(item, tvb)
		pinfo.cols.info = info_of(tvb)
		if clear and not judgement.verdict and
		   judge_contents(tvb, judgement) then
			whole = dissect_contents(item, tvb, judgement)
		end
	else
		whole = judgement.verdict ~= nil
	end
	if not whole then
		item:add_proto_expert_info(cut)
		return tvb:captured_len()
	end
	item:add(body.verdict, judgement.verdict or "steered"):set_generated()
	if judgement.verdict then
		item:add_proto_expert_info(broken[judgement.verdict],
			judgement.verdict .. ": " .. judgement.why)
		pinfo.cols.info:append(" [" .. judgement.verdict .. "]")
	end
	return tvb:captured_len()
end

DissectorTable.get("udp.port"):add(PORT, frames)
frames:register_heuristic("udp", function(tvb, pinfo, tree)
	if tvb:captured_len() < HEADER or tvb(0, 4):uint() ~= 0x5054524D then
		return false
	end
	frames.dissector(tvb, pinfo, tree)
	return true
end)
