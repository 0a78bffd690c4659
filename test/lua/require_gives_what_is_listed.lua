return function()
  for _, name in ipairs { "time", "channel", "process", "errors", "request", "json", "string",
    "table", "math", "utf8", "coroutine" } do
    assert(require(name) ~= nil, name)
    assert(require(name) == require(name))
  end
  assert(require("process") == process and require("string") == string)
  local ok, err = pcall(require, "sql")
  assert(not ok and err:find("module 'sql' not found"))
  for _, absent in ipairs { "io", "os", "debug", "package", "dofile", "loadfile" } do
    assert(_G[absent] == nil, absent)
  end
  assert(load(string.char(27) .. "Lua") == nil)
  assert(process.id() == "app:main")
  assert(process.pid():find("^{local@system:processes|app:main|"))
end
