# Run the script for one file, and write the same data as a pipeline: the output, published when it
# is complete, and a record of the outcome and the times of the job.
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
