# Runs the script for one file, and makes the records that a pipeline makes: the output, published
# when it is whole, and how and when the job ended.
name=${1%.txt}
start=$(date -u +%FT%T.%6NZ)
wc -c <"in/$name.txt" >"out/.$name.new"
code=$?
mv "out/.$name.new" "out/$name.txt"
end=$(date -u +%FT%T.%6NZ)
cat >"done/.$name.new" <<RECORD
success: $([ "$code" = 0 ] && echo true || echo false)
return_code: $code
start_time: $start
end_time: $end
RECORD
mv "done/.$name.new" "done/$name.yaml"
