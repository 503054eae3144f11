# The only task list. `make help` lists it; the GitHub workflow and .ci/run call the same targets.
SHELL := /bin/sh
NODE  := node_modules/.bin/node
DEMO  := demo
IMAGE := listenlake:local
comma := ,

.DEFAULT_GOAL := help
.PHONY: help install demo dashboard test soak check format bench docs picture screenshots airflow-pictures package image airflow aws-local stream clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: node_modules/.package-lock.json ## Install the packages (once)

node_modules/.package-lock.json: package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@# The one script that is needed: it fetches the Node that the tools and tests run on.
	npm rebuild node --loglevel=error
	@touch $@

demo: install ## Generate 25 listeners, one six-year export and 5,000 tracks, and run the whole pipeline on them
	@rm -rf $(DEMO)/source
	./listenlake extract events --seed 7 --users 25 --days 90 --tracks 5000 --export-years 6 --out $(DEMO)/source
	./listenlake run $(DEMO)/source --lake $(DEMO)/lake

test: install ## Run every test layer; ends with the line "N passed, N failed"
	@$(NODE) tests/run.ts

soak: install ## The proofs that take hours: 200 kills, 300 failing system calls, 200 histories of a stream, tens of thousands of polls
	@$(NODE) tests/run.ts soak

check: install ## Types, lint and format only
	@$(NODE) tests/run.ts check

format: install ## Write the format that `make check` wants
	node_modules/.bin/biome check --write .

bench: install ## Measure speed and memory against DuckDB, parquetjs-lite and pandas, what a person waits for, streams against Kafka's clients, and S3 against the folder
	$(NODE) bench/run.ts
	$(NODE) bench/person.ts
	$(NODE) --disable-warning=ExperimentalWarning bench/stream.ts
	$(NODE) --disable-warning=ExperimentalWarning bench/aws.ts

docs: install ## Write the generated references again (commands, data dictionary, configuration)
	$(NODE) tests/docs/generate.ts

picture: demo ## Take the README's picture of the demo's report (needs Chromium)
	./listenlake run $(DEMO)/source/export $(DEMO)/source/tracks.csv --lake $(DEMO)/person --quiet
	$(NODE) tests/docs/picture.ts $(DEMO)/person/report/report.html

screenshots: picture ## Take pictures of the demo's portrait, of a card and of the dashboard for the docs (needs Chromium)
	$(NODE) tests/docs/screenshots.ts $(DEMO)/person/report/report.html
	./listenlake report --card 2025 --lake $(DEMO)/person
	cp $(DEMO)/person/report/cards/me/2025.png docs/images/report/card.png
	$(NODE) tests/docs/dashboard-pictures.ts $(DEMO)/lake

dashboard: demo ## Show the demo's tables in a browser, until Ctrl-C
	./listenlake serve --lake $(DEMO)/lake --open

airflow-pictures: install image ## Take the pictures of docs/airflow.md (needs Docker, Python 3.12, Chromium)
	$(NODE) tests/docs/airflow-pictures.ts

package: install ## Make the npm package, dist/listenlake-VERSION.tgz: npx dist/listenlake-VERSION.tgz run my.zip
	@$(NODE) packaging/build.ts

# BASE_IMAGE: another image with Node 24. BUILD_CA: certificate authority of a proxy between the build and the npm registry.
image: ## Build the image of the jobs, listenlake:local (needs Docker)
	DOCKER_BUILDKIT=1 docker build --tag $(IMAGE) $(if $(filter listenlake:local,$(IMAGE)),--tag listenlake) \
	  --build-arg VERSION=$$(sed -n 's/^  "version": "\(.*\)",/\1/p' package.json) \
	  --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
	  $(if $(SOURCE),--build-arg SOURCE=$(SOURCE)) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) \
	  $(if $(BUILD_CA),--secret id=ca$(comma)src=$(BUILD_CA)) .

airflow: install image ## Start Airflow with the DAGs on the lake in lake/ (needs Docker and Python 3.12); Ctrl-C ends it
	$(NODE) airflow/local.ts

aws-local: install ## Start S3, Glue and Athena here (moto, a real Trino), with the demo's data in a lake that Terraform made
	@$(NODE) --disable-warning=ExperimentalWarning tests/aws/demo.ts

stream: install ## Start a Kafka broker, a producer and a consumer for a minute, and show what became of the events (needs a JDK and Maven)
	@$(NODE) --disable-warning=ExperimentalWarning deploy/stream/demo.ts $(DEMO)/stream

clean: ## Remove what demo, tests and benchmarks left behind (not your lake)
	rm -rf $(DEMO) dist test-results bench/results coverage

# ENV=name: one lake among several, by terraform/environments/name.tfvars.
.PHONY: aws aws-images aws-run aws-open aws-smoke

aws: install ## Make the lake and Airflow's host in your AWS account, as terraform/ says; the four say what comes next
	@$(NODE) deploy/main.ts lake

aws-images: install ## Build both images and push them to your account (needs Docker); on EKS also fill the cluster
	@$(NODE) deploy/main.ts images

aws-run: install ## Run listenlake_daily there and follow it to its end (GENERATE=1: on synthetic listening)
	@$(NODE) deploy/main.ts run

aws-open: install ## Open Airflow's page there at http://localhost:8080 (needs the Session Manager plugin)
	@$(NODE) deploy/main.ts open

aws-smoke: install ## In a sandbox account: a lake of its own, a day's run, ten questions, destroy; a report of what differed
	@$(NODE) deploy/main.ts smoke
