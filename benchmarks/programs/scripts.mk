all: $(patsubst in/%,out/%,$(wildcard in/*.txt))
out/%.txt: in/%.txt ; @wc -c <$< >$@
