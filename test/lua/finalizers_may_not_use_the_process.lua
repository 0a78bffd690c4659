-- A finalizer can run in the midst of any allocation, so it may print and reckon, but
-- not receive or send.
return function()
  local me, t = process.pid(), process.listen("t")
  local own = channel.new(10)
  local ran, failed = 0, 0
  local function make()
    setmetatable({}, { __gc = function()
      ran = ran + 1
      for _, use in ipairs { function() t:receive() end, function() process.send(me, "t", 0) end,
        function() own:send(1) end, function() channel.select { own:case_receive(), default = true } end,
        function() request.send(me, 1) end, function() process.spawn("app:main", "processes") end } do
        local ok, err = pcall(use)
        if not ok and err:find("finalizer") then failed = failed + 1 end
      end
      assert(process.pid() == me)
    end })
  end
  for i = 1, 2000 do
    make()
    assert(process.send(me, "t", { i, string.rep("x", 100) }))
    assert(t:receive()[1] == i)
  end
  collectgarbage()
  assert(ran > 100 and failed == ran * 6)
end
